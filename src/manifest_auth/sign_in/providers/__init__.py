"""Sign-in through identity providers: OpenID Connect, SAML, Dynamics, and Entra ID tokens that apps send.

Joins protocols, a client's providers and its accounts: a verified response becomes a ``Person``, ``account_matching``
finds the user, and ``completion`` signs in. Never keeps a transaction open during a call to a provider.
"""
