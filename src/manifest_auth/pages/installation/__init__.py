"""Pages on which system admins run the installation.

They have a session of their own, see :mod:`.sign_in`.
"""
