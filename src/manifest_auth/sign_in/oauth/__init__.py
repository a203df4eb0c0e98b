"""Access tokens of service accounts (RFC 6749, section 4.4): issued, revoked and introspected.

Every caller is authenticated by :mod:`.clients`; none of them learns anything of another client's tokens.
"""
