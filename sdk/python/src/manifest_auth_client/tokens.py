"""The result of a sign-in: the two tokens of a session, and the user."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

#: A token is renewed this many seconds before its end; one with a life under a minute, halfway through it.
MARGIN_S = 30.0


@dataclass(frozen=True, slots=True)
class Tokens:
    """The tokens of one session at one server. Times are seconds since 1970, by the clock of this machine.

    ``renew_at``: after that the access token is renewed before it is used. Tokens are left out of ``repr``.

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
        """From ``data`` of a sign-in or a refresh."""
        now, life = time.time(), float(data["expiresIn"])
        return cls(
            base_url=base_url,
            access_token=str(data["token"]),
            refresh_token=str(data["refreshToken"]),
            expires_at=now + life,
            renew_at=now + life - min(MARGIN_S, life / 2),
        )

    def as_dict(self) -> dict[str, Any]:
        """All members, for a store. The tokens are in it."""
        return asdict(self)

    @classmethod
    def of_dict(cls, given: Mapping[str, Any]) -> Tokens:
        """From what :meth:`as_dict` gave; other members are left out. Raises KeyError for one that is missing."""
        return cls(**{each.name: given[each.name] for each in fields(cls)})

    @property
    def is_due(self) -> bool:
        """Whether the access token is to be renewed before it is used."""
        return time.time() >= self.renew_at


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A sign-in that is complete: the user, and the tokens of the session.

    ``recovery_codes``: of a second factor that was just set up; show them once. ``password_change_due``: the client's
    rule says that the user should choose another password. ``data``: the answer as it came, without tokens.

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
        """From ``data`` of the answer to a sign-in."""
        return cls(
            tokens=Tokens.of_answer(base_url, data),
            user=data["user"],
            recovery_codes=tuple(data.get("recoveryCodes") or ()),
            password_change_due=bool(data.get("passwordChangeDue")),
            data={name: value for name, value in data.items() if name not in ("token", "refreshToken")},
        )
