"""The base of all refusals, and how one is read from an answer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple


class Detail(NamedTuple):
    """The fault of one member of a request.

    >>> Detail("email", "This is no e-mail address").field
    'email'
    """

    field: str
    message: str


class ManifestAuthError(Exception):
    """A refusal of the server; each code of its closed list has its own class in ``manifest_auth_client.errors``.

    ``code`` is for programs, ``message`` for people. ``status``: of HTTP. ``details``: what is wrong with which member.
    ``request_id``: what the operator finds in the log. ``retry_after``: seconds to wait, where the server says so.
    ``data`` and ``errors``: what a GraphQL query answered beside the refusal. An answer that is not the server's, a
    proxy's for example, and a code that this version does not know, are of this class itself.

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
    """A refusal after which the sign-in goes on."""

    @property
    def challenge(self) -> str:
        """The members that ``continue_sign_in`` takes."""
        return str(self.given.get("challenge", ""))

    @property
    def expires_in(self) -> int:
        """Seconds for which the challenge is good."""
        return int(self.given.get("expiresIn", 0))

    @property
    def methods(self) -> tuple[str, ...]:
        """Factors that can be enrolled, where one has to be: ``totp``, ``passkey``."""
        return tuple(self.given.get("methods", ()))
