"""The command ``manifest-auth``: a module for each group of commands, with its grammar and its functions.

Owns messages, prompts, and exit codes, but no rules: a command calls the same functions as the admin API. A module
loads only what its commands need.
"""

from manifest_auth.cli.main import main
