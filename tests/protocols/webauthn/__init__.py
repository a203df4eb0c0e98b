"""Passkeys: the test vectors of WebAuthn Level 3, and credentials with a single defect."""
