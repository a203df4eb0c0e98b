"""Refusals that pages alone have: of known kinds, with words of their own."""

from __future__ import annotations

from manifest_auth.errors import NotFound, ValidationError


class NoFormCookie(ValidationError):
    """The browser keeps no cookies, or the page was open for longer than its cookie lives."""


class UnknownClient(NotFound):
    """No client has that identifier. It is said in words: identifiers are no secret."""
