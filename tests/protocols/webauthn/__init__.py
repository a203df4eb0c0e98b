"""Passkeys: the test vectors of WebAuthn Level 3, and credentials that are wrong in one place."""
