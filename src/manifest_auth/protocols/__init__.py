"""Standard protocols: OpenID Connect, OAuth 2.0, SAML 2.0, and Microsoft's APIs.

Parses, checks, and writes their messages. Never reads the store, and knows nothing of clients or users.
"""
