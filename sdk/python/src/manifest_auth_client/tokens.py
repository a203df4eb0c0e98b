"""The result of a sign-in: the two tokens of a session, and the user."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

#: Tokens are renewed this many seconds before they expire, or at half of their lifetime if it is under a minute.
MARGIN_S = 30.0


@dataclass(frozen=True, slots=True)
class Tokens:
    """The tokens of one session on one server. Times are seconds since 1970, by this machine's clock.

    After ``renew_at``, the access token is renewed before it is used. ``repr`` omits the tokens.

    >>> tokens = auth.sign_in("ada@acme.example", "kestrel-harbor-21").tokens
    >>> Tokens.of_dict(tokens.as_dict()) == tokens
    True
    """

    base_url: str
    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    expires_at: float
    renew_at: float

    @classmethod
    def of_answer(cls, base_url: str, data: Mapping[str, Any]) -> Tokens:
        """Creates tokens from ``data`` of a sign-in or refresh."""
        now, life = time.time(), float(data["expiresIn"])
        return cls(
            base_url=base_url,
            access_token=str(data["token"]),
            refresh_token=str(data["refreshToken"]),
            expires_at=now + life,
            renew_at=now + life - min(MARGIN_S, life / 2),
        )

    def as_dict(self) -> dict[str, Any]:
        """Returns all members, including the tokens themselves, for a store."""
        return asdict(self)

    @classmethod
    def of_dict(cls, given: Mapping[str, Any]) -> Tokens:
        """Creates tokens from the result of :meth:`as_dict`, and ignores other members. Raises KeyError if one is
        missing."""
        return cls(**{each.name: given[each.name] for each in fields(cls)})

    @property
    def is_due(self) -> bool:
        """Whether to renew the access token before using it."""
        return time.time() >= self.renew_at


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A completed sign-in: the user, and the tokens of the session.

    ``recovery_codes`` belong to a second factor that was just set up. Show them once. ``password_change_due`` means
    that the client's policy asks the user to choose another password. ``data`` is the response without the tokens.

    >>> auth.sign_in("ada@acme.example", "kestrel-harbor-21").user["roles"]
    ['Author']
    """

    tokens: Tokens
    user: Mapping[str, Any]
    recovery_codes: tuple[str, ...]
    password_change_due: bool
    data: Mapping[str, Any] = field(repr=False)

    @classmethod
    def of_answer(cls, base_url: str, data: Mapping[str, Any]) -> SignedIn:
        """Creates the result from ``data`` of a sign-in response."""
        return cls(
            tokens=Tokens.of_answer(base_url, data),
            user=data["user"],
            recovery_codes=tuple(data.get("recoveryCodes") or ()),
            password_change_due=bool(data.get("passwordChangeDue")),
            data={name: value for name, value in data.items() if name not in ("token", "refreshToken")},
        )
