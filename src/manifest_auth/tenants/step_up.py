"""Recent proof of who acts, before an act that a stolen session must not do (step-up authentication, RFC 9470).

Everything that the check needs comes with the caller, so it costs no statement. An act asks once, in the function that
every interface calls; :mod:`manifest_auth.audit.events` holds that none forgets.
"""

from __future__ import annotations

from typing import Final, Literal, NoReturn

from manifest_auth.audit.catalogue import Act
from manifest_auth.context import RECENT_MS, Acting, AdminCaller, Principal, Request
from manifest_auth.errors import Forbidden, ReauthenticationRequired
from manifest_auth.permissions import Role
from manifest_auth.tenants.settings import settings_of
from manifest_auth.text.languages import marked as _

#: Those who hold one of these roles can give themselves and others access.
RANKED: Final = Role.ADMIN.bit | Role.USER_ADMIN.bit
#: Acts that every client guards; the others are guarded where ``stepUp`` is ``management``. Of system admins all are.
ALWAYS = Act.EMAIL | Act.PASSWORD | Act.FACTORS | Act.IDENTITIES | Act.OTHERS_FACTORS | Act.PAIRING | Act.PIN
#: With these a stolen key or token would make itself another way in.
_NOT_FOR_MACHINES = Act.RANKS | Act.OTHERS_PASSWORDS | Act.RULES
#: What a session might have proved that lets an account without any factor enroll its first.
_FIRST = frozenset({"pwd", "provider", "link"})
_SENTENCES: Final = {
    "password": "Your password",
    "otp": "A code from your authenticator app",
    "credential": "Your passkey",
    "recoveryCode": "One of your recovery codes",
    "provider": "A new sign-in at your identity provider",
}
_FIRST_WAYS: Final[tuple[Literal["pwd", "provider"], ...]] = ("provider", "pwd")
_TOTP, _PASSKEY = 1, 2  # bits of ``factors``


def check(acting: Acting, act: Act, *, needed: bool = True) -> None:
    """Asks for re-authentication: users and system admins must have proved who they are within the last ten minutes,
    with all that their account has. ``needed``: False if this call does nothing sensitive. The command line is not
    asked. A machine cannot prove anything: it does no such act, gives no one a role that manages, resets no password,
    and changes no rules. Neither does an app for a user, however new the proof of who signed in to it is. Neither can a
    device: its session does none of them, whatever the client guards. A session that came from another one changes no
    factors. Raises ReauthenticationRequired, Forbidden for a machine, an app, a device and such a session.
    """
    if not isinstance(acting, Request):
        return
    acting.asked |= act
    caller = acting.caller
    if not needed:
        return
    if isinstance(caller, AdminCaller) and not _is_recent(caller.proved_at, acting.now):
        raise ReauthenticationRequired(
            _("Your password and code are required again"), details=[("password", "Your password")]
        )
    if isinstance(caller, Principal) and caller.is_program and (_guards(caller, act) or act & _NOT_FOR_MACHINES):
        raise Forbidden("Service accounts and apps can't re-authenticate, which this action requires")
    not_for_devices(acting)
    if isinstance(caller, Principal) and caller.has_parent and act is Act.FACTORS:
        raise Forbidden(
            _("Use your account page to change second factors"), reason="the session comes from another one"
        )
    if isinstance(caller, Principal) and _guards(caller, act) and not has_proved(caller, act, acting.now):
        refuse(caller)


def check_gain(acting: Acting, roles: int) -> None:
    """Like :func:`check`, before a user gets these roles (bit mask) or a link as someone who has them: for roles that
    manage. A system admin, who belongs to no client, gives anyone access to one by any role."""
    by_system_admin = isinstance(acting, Request) and isinstance(acting.caller, AdminCaller)
    check(acting, Act.RANKS, needed=bool(roles if by_system_admin else roles & RANKED))


def not_for_machines(acting: Acting) -> None:
    """Rejects a machine and an app an act that is guarded for no one else, and with which a stolen key or token would
    make itself another way in. Raises Forbidden."""
    caller = acting.caller if isinstance(acting, Request) else None
    if isinstance(caller, Principal) and caller.is_program:
        raise Forbidden("Service accounts and apps can't do this")


def not_for_devices(acting: Acting) -> None:
    """Rejects the session of a device an act that asks no one for a proof. Raises Forbidden."""
    caller = acting.caller if isinstance(acting, Request) else None
    if isinstance(caller, Principal) and caller.is_device:
        raise Forbidden(_("A device session can't do this. Sign in with a browser"), reason="a device proves nobody")


def refuse(caller: Principal) -> NoReturn:
    """Raises ReauthenticationRequired, which names what would do."""
    raise ReauthenticationRequired(details=[(name, _SENTENCES[name]) for name in what_would_do(caller)])


def proved_otherwise(acting: Acting, act: Act) -> None:
    """Says that the act rests on another proof than that of the session, such as the challenge of a sign-in.

    A session that the browser also has can end by it.
    """
    check(acting, act, needed=False)
    if isinstance(acting, Request):
        acting.may_end = True


def uses_password(caller: Principal) -> bool:
    """Whether the caller has a password that the client still lets in."""
    return bool(caller.has_password) and settings_of(caller.tenant_settings).password_sign_in


def what_would_do(caller: Principal) -> tuple[str, ...]:
    """The factors that re-authenticate the caller: members of ``reauthenticate``, and ``provider``. With a factor: a
    passkey alone, or the first of the list with a code."""
    first = "password" if uses_password(caller) else "provider"
    if not caller.factors:
        return (first,)
    with_code = (first, "otp", "recoveryCode") if caller.factors & _TOTP else (first, "recoveryCode")
    return (*with_code, "credential") if caller.factors & _PASSKEY else with_code


def has_recent_first(caller: Principal, now: int) -> bool:
    """Whether the first factor that counts for the caller was verified recently, so that a code completes the proof."""
    return bool(first_ways(caller)) and _is_recent(caller.authenticated_at, now)


def first_ways(caller: Principal) -> tuple[Literal["pwd", "provider"], ...]:
    """Of what the session has proved, the first factors that count: the password; the provider only for an account that
    uses no password (a password counts there too, proved before the client switched passwords off)."""
    ways = caller.amr.split()
    if uses_password(caller):
        return ("pwd",) if "pwd" in ways else ()
    return tuple(way for way in _FIRST_WAYS if way in ways)


def _guards(caller: Principal, act: Act) -> bool:
    if act is Act.PASSWORD:
        return bool(caller.factors)
    return bool(act & ALWAYS) or settings_of(caller.tenant_settings).step_up == "management"


def has_proved(caller: Principal, act: Act, now: int) -> bool:
    """Whether the caller's proof is recent, and of all that the account has."""
    ways = caller.amr.split()
    if act is Act.FACTORS and not caller.factors:
        at = caller.authenticated_at
        if at is None and "provider" in ways:  # one that says no time: the sign-in itself
            at = caller.created_at
        return bool(_FIRST.intersection(ways)) and _is_recent(at, now)
    if caller.factors:
        return "mfa" in ways and _is_recent(caller.authenticated_at, now)
    return has_recent_first(caller, now)


def _is_recent(at: int | None, now: int) -> bool:
    return at is not None and now - at < RECENT_MS
