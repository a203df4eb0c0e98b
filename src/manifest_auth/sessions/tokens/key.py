"""One signing key: what it is for, as it is stored, and opened."""

from __future__ import annotations

import enum
import json
from functools import lru_cache
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from joserfc.jwk import ECKey  # imported only for ES256

#: Of users' access tokens. The key says which one is used, never a token.
Algorithm = Literal["HS256", "ES256"]


class Purpose(enum.Enum):
    """Each purpose has its own keys, so that a token of one purpose is invalid for the others."""

    ACCESS = "access"
    REFRESH = "refresh"
    ADMIN_ACCESS = "admin-access"
    ADMIN_REFRESH = "admin-refresh"
    SERVICE = "service"  # tokens of service accounts, always ES256
    FORMS = "forms"  # marks of pages' forms
    PAGE_STATE = "page-state"  # what a sign-in under way on pages knows, encrypted


class KeyRow(NamedTuple):
    id: str
    purpose: str
    algorithm: str
    secret: bytes
    created_at: int
    retired_at: int | None
    expires_at: int | None


class Key(NamedTuple):
    """An opened key. HS256: ``raw``, for JWTs and refresh tokens. ES256: ``jose``, for JWTs."""

    id: str
    purpose: Purpose
    algorithm: str
    raw: bytes
    created_at: int
    retired_at: int | None
    expires_at: int | None

    @property
    def jose(self) -> ECKey | None:
        """The key pair; read at its first use, since most processes use none."""
        return _key_pair(self.raw) if self.algorithm == "ES256" else None


@lru_cache(maxsize=64)
def _key_pair(raw: bytes) -> ECKey:
    from joserfc.jwk import ECKey

    return ECKey.import_key(json.loads(raw))
