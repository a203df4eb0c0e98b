"""Manifest Auth: the authentication server of the Manifest API.

Start reading at ``docs/how-sign-in-works.md``; the packages and their layers are in ``docs/architecture.md``.
"""

__version__ = "0.1.0"
#: The commit that a release was built from, 12 hexadecimal digits, with ``-dirty`` if files differed from it.
__commit__ = "unbuilt"
