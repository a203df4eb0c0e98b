"""``manifest-auth doctor``: one module for each area; :mod:`.run` calls them all.

Never changes anything, and never prints a secret.
"""

from manifest_auth.maintenance.doctor.environment import Finding
from manifest_auth.maintenance.doctor.run import examine
