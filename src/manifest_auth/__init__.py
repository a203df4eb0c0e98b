"""Manifest Auth: the authentication server of the Manifest API.

Start reading at ``docs/how-sign-in-works.md``; the packages and their layers are in ``docs/architecture.md``.
"""

__version__ = "0.1.0"
