"""Second factors of users, over HTTP."""
