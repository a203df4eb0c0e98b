"""Sign-in of users to apps: authorization, tokens, sign-out (OpenID Connect, as a provider).

What an app gets always comes from a session of a browser, and is never more than that session has.
"""
