"""The admin plane, ``/api/admin``: how system admins sign in, and what they do to clients and their users."""
