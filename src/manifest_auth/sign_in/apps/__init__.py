"""Sign-in of users to apps: authorization, tokens, sign-out (OpenID Connect, as a provider).

Everything that an app gets comes from a browser's session, and never exceeds the rights of that session.
"""
