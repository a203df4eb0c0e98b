"""Twenty questions of docs readers, each answered by one search.

They were written before the site existed. The words that a reader would type find the page among the first results.
"""

from __future__ import annotations

from typing import NamedTuple


class Question(NamedTuple):
    """``words`` is the search text, ``page`` is the page with the answer, without ``.md``, and ``answer`` is part of
    the answer."""

    who: str
    question: str
    words: str
    page: str
    answer: str


QUESTIONS = (
    Question("integrator", "How do I sign in with email and password?", "sign in password", "integrators",
             "/api/client/auth/sign-in"),
    Question("integrator", "How long does a refresh token live, and may I use it twice?", "refresh token",
             "reference/http", "30 days by default"),
    Question("integrator", "What does the code INVALID_TOKEN mean?", "INVALID_TOKEN", "errors",
             "Malformed, forged, revoked"),
    Question("integrator", "How does a mobile app get tokens after single sign-on?", "mobile app code exchange",
             "integrators", "codeVerifier"),
    Question("integrator", "How do I page through a list?", "nextCursor", "reference/http", "`nextCursor` is null"),
    Question("integrator", "Which calls need which role?", "permissions roles", "reference/http", "templates:publish"),
    Question("integrator", "How do I upload evidence for a job, and which files are accepted?", "upload file evidence",
             "integrators", "JPEG, PNG, WebP"),
    Question("integrator", "What may a GraphQL query cost?", "GraphQL limits depth", "graphql", "2,000 tokens"),
    Question("administrator", "How do I set Okta up with SAML?", "Okta SAML", "providers/okta-saml", "Okta"),
    Question("administrator", "How do I verify an email domain?", "verify domain DNS TXT", "domains",
             "_manifest-auth-challenge"),
    Question("administrator", "Why was a sign-in at our provider rejected?", "sign-in rejected reason",
             "providers/reasons", "the request came from a different browser"),
    Question("administrator", "How does a Power App call the API?", "Power Apps connector", "providers/power-apps",
             "/power-apps.json"),
    Question("administrator", "How do I suspend a client?", "suspend client", "admin", "/suspend"),
    Question("administrator", "How do system admins get a second factor?", "second factor TOTP", "admin", "otpauth"),
    Question("administrator", "A user gets RATE_LIMITED: how do I unblock them?", "clear rate limits", "admin",
             "/api/admin/throttles/clear"),
    Question("operator", "How do I make a backup and restore it?", "backup restore", "operations/backup",
             "manifest-auth backup"),
    Question("operator", "How do I run several nodes with PostgreSQL?", "PostgreSQL several nodes", "operations/nodes",
             "postgresql://"),
    Question("operator", "How do I replace the secret key?", "secret key rotate", "operations/backup", "reencrypt"),
    Question("operator", "Which setting names my reverse proxy?", "MANIFEST_TRUSTED_PROXIES", "settings",
             "X-Forwarded-For"),
    Question("operator", "How do I install it without internet, under a license?", "on premise license", "on-premise",
             "license install"),
)  # fmt: skip
