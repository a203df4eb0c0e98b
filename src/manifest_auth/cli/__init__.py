"""The command ``manifest-auth``: a module for each group of commands, with its grammar beside its deeds.

Owns words, prompts and exit codes. Never holds a rule: a command calls what the admin plane calls. A module here loads
only what its commands need.
"""

from manifest_auth.cli.main import main
