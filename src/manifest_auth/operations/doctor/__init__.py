"""``manifest-auth doctor``: one module for each thing that is looked at; :mod:`.run` asks them all.

Never changes anything, and never shows a secret.
"""

from manifest_auth.operations.doctor.run import Finding, examine
