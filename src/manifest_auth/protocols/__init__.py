"""What others standardised: OpenID Connect, SAML 2.0, and Microsoft's ways.

Owns the reading, checking and writing of their messages. Never reads the store, and knows neither clients nor users.
"""
