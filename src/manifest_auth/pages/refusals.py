"""Refusals that pages alone have: of known kinds, with words of their own."""

from __future__ import annotations

from manifest_auth.errors import InvalidCredentials, InvalidToken, NotFound, TokenExpired, ValidationError


class NoFormCookie(ValidationError):
    """The browser keeps no cookies, or the page was open for longer than its cookie lives."""


class UnknownClient(NotFound):
    """No client has that identifier. It is said in words: identifiers are no secret."""


class StepEnded(InvalidToken):
    """A sign-in cannot go on with its second factor: too many wrong answers, or the account was changed meanwhile."""


class StepExpired(TokenExpired):
    """The second factor was not shown in time."""


class PasskeyOfAnother(InvalidCredentials):
    """A passkey that belongs to another client than the one that is named."""
