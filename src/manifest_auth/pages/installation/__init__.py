"""Pages on which system admins run the installation.

They have their own session, see :mod:`.sign_in`.
"""
