"""Ways in through identity providers: OpenID Connect, SAML, Dynamics, and Entra ID tokens that apps bring.

Brings protocols, a client's providers and its accounts together: what is proved becomes a ``Person``, matching
says which user that is, and completion signs in. Never holds a transaction open across a call to a provider.
"""
