"""The one answer to a question for a second factor, and its check against what the user has enrolled."""

from __future__ import annotations

from typing import Any, NamedTuple

from manifest_auth.accounts.factors import recovery_codes, totp
from manifest_auth.accounts.users import User
from manifest_auth.errors import Replay, ValidationError
from manifest_auth.services import RequestContext
from manifest_auth.sessions.sessions import Way
from manifest_auth.store import TenantUnit


class Answer(NamedTuple):
    """The members of a request; exactly one of the first four is given. ``passkey`` and ``new_passkey``: credentials as
    a browser returns them (WebAuthn Level 3, section 5.1); ``name``: of a new passkey."""

    otp: str | None = None
    recovery_code: str | None = None
    passkey: dict[str, Any] | None = None
    new_passkey: dict[str, Any] | None = None
    name: str = ""

    @property
    def member(self) -> str:
        """The name of the member that is given. Raises ValidationError for none, or for more than one."""
        given = [
            name
            for name, value in zip(("otp", "recoveryCode", "passkey", "newPasskey"), self[:4], strict=True)
            if value is not None
        ]
        if len(given) == 1:
            return given[0]
        sentence = "Required: otp, recoveryCode or passkey" if not given else "Only one answer at a time"
        raise ValidationError(details=[(given[1] if given else "otp", sentence)])


class Judged(NamedTuple):
    """``way``: how it was proved, None for a wrong answer; ``replay``: it was right, and used before; ``why``: what is
    wrong with it, for the log."""

    way: Way | None
    replay: Replay | None = None
    why: str = ""


def judge(unit: TenantUnit, ctx: RequestContext, user: User, answer: Answer) -> Judged:
    """Checks an answer with a code, and marks the code as used. A passkey is judged by :mod:`..passkeys.assertions`."""
    if answer.otp is not None:
        found = totp.use(unit, ctx.services.sealer, user.id, answer.otp, ctx.now)
        return Judged("otp" if found.is_right else None, found.replay)
    if answer.recovery_code is not None:
        used = recovery_codes.use(unit, user.id, answer.recovery_code, ctx.now)
        return Judged("recovery" if used.is_right else None, used.replay)
    return Judged(None)
