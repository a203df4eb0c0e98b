"""The base class of all server errors."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple


class Detail(NamedTuple):
    """The error in one field of a request.

    >>> Detail("email", "Enter a valid email address").field
    'email'
    """

    field: str
    message: str


class ManifestAuthError(Exception):
    """An error from the server. Each error code has its own class in ``manifest_auth_client.errors``.

    Check ``code`` in programs, and show ``message`` to people. ``status`` is the HTTP status, and ``details`` lists the
    invalid fields. The operator can find ``request_id`` in the log. ``retry_after`` is the number of seconds to wait,
    if the server sent one. ``data`` and ``errors`` are those of a GraphQL response. This class itself represents codes
    that this version doesn't know, and responses that don't come from the server, such as a proxy's.

    >>> try:
    ...     auth.sign_in("ada@acme.example", "a wrong password")
    ... except ManifestAuthError as refused:
    ...     print(refused.code, refused.status)
    INVALID_CREDENTIALS 401
    """

    code: str = ""
    status: int = 0
    message: str = ""

    def __init__(
        self,
        message: str = "",
        *,
        code: str = "",
        status: int = 0,
        details: Iterable[Detail] = (),
        request_id: str = "",
        retry_after: float | None = None,
        given: Mapping[str, Any] | None = None,
    ) -> None:
        self.code, self.status, self.message = code or self.code, status or self.status, message or self.message
        super().__init__(self.message)
        self.request_id, self.retry_after = request_id, retry_after
        self.details = tuple(details)
        self.data: Any = None
        self.errors: tuple[Mapping[str, Any], ...] = ()
        self.given = given or {}

    def __str__(self) -> str:
        fields = "".join(f"; {detail.field}: {detail.message}" for detail in self.details)
        marks = ", ".join(filter(None, (self.code, str(self.status or ""), self.request_id)))
        return f"{self.message}{fields} ({marks})"


class Continues(ManifestAuthError):
    """An error after which the sign-in can continue."""

    @property
    def challenge(self) -> str:
        """The members to send with ``continue_sign_in``."""
        return str(self.given.get("challenge", ""))

    @property
    def expires_in(self) -> int:
        """The number of seconds until the challenge expires."""
        return int(self.given.get("expiresIn", 0))

    @property
    def methods(self) -> tuple[str, ...]:
        """Factors that the user can enroll, if one is required: ``totp``, ``passkey``."""
        return tuple(self.given.get("methods", ()))
