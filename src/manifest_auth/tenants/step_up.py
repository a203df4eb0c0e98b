"""Re-authentication before an action that a stolen session must not do (step-up authentication, RFC 9470).

Everything that the check needs comes with the caller, so it costs no statement. An action checks once, in the function
that every interface calls; :mod:`manifest_auth.audit.events` ensures that none forgets.
"""

from __future__ import annotations

from typing import Final, Literal, NoReturn

from manifest_auth.audit.acts import Act
from manifest_auth.context import RECENT_MS, Acting, AdminCaller, Principal, Request
from manifest_auth.errors import Forbidden, ReauthenticationRequired
from manifest_auth.permissions import Role
from manifest_auth.tenants.settings import settings_of
from manifest_auth.text.languages import marked as _

#: Users with one of these roles can give themselves and others access.
RANKED: Final = Role.ADMIN.bit | Role.USER_ADMIN.bit
#: Actions that every client guards; the others are guarded if ``stepUp`` is ``management``. For system admins, all are.
ALWAYS = Act.EMAIL | Act.PASSWORD | Act.FACTORS | Act.IDENTITIES | Act.OTHERS_FACTORS | Act.PAIRING | Act.PIN
#: Actions with which a stolen key or token could create another way to sign in.
_NOT_FOR_MACHINES = Act.RANKS | Act.OTHERS_PASSWORDS | Act.RULES
#: Methods that let an account without any factor enroll its first one, if the session has verified one of them.
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
    """Requires re-authentication: users and system admins must have verified everything that their account has within
    the last ten minutes. ``needed``: False if this call does nothing sensitive. The command line is exempt. A machine
    can't re-authenticate, so it can't do these actions: for example, give someone a role that manages, reset a
    password, or change rules. An app can't do them for a user either, however recent the user's sign-in, nor can a
    device's session, whichever actions the client guards. A session that was created from another one can't change
    factors. Raises ReauthenticationRequired, and Forbidden for a machine, an app, a device, and such a
    session."""
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
    """Checks like :func:`check`, before a user gets these roles (bit mask), or a link as someone who has them, if the
    roles manage. For a system admin, who belongs to no client, any role counts, since it gives access to a client."""
    by_system_admin = isinstance(acting, Request) and isinstance(acting.caller, AdminCaller)
    check(acting, Act.RANKS, needed=bool(roles if by_system_admin else roles & RANKED))


def not_for_machines(acting: Acting) -> None:
    """Rejects a machine or an app, for an action that is guarded for nobody else, but with which a stolen key or token
    could create another way to sign in. Raises Forbidden."""
    caller = acting.caller if isinstance(acting, Request) else None
    if isinstance(caller, Principal) and caller.is_program:
        raise Forbidden("Service accounts and apps can't do this")


def not_for_devices(acting: Acting) -> None:
    """Rejects the session of a device, for an action that requires no re-authentication. Raises Forbidden."""
    caller = acting.caller if isinstance(acting, Request) else None
    if isinstance(caller, Principal) and caller.is_device:
        raise Forbidden(
            _("A device session can't do this. Sign in with a browser"), reason="a device can't re-authenticate a user"
        )


def refuse(caller: Principal) -> NoReturn:
    """Raises ReauthenticationRequired, which names the factors that would be enough."""
    raise ReauthenticationRequired(details=[(name, _SENTENCES[name]) for name in what_would_do(caller)])


def proved_otherwise(acting: Acting, act: Act) -> None:
    """Records that the action relies on another proof than that of the session, such as the challenge of a sign-in.

    The action can end a session that the browser also has.
    """
    check(acting, act, needed=False)
    if isinstance(acting, Request):
        acting.may_end = True


def uses_password(caller: Principal) -> bool:
    """Whether the caller has a password, and the client still allows passwords."""
    return bool(caller.has_password) and settings_of(caller.tenant_settings).password_sign_in


def what_would_do(caller: Principal) -> tuple[str, ...]:
    """Returns the factors that re-authenticate the caller: members of ``reauthenticate``, and ``provider``. With a
    factor, a passkey is enough, or the first of the list with a code."""
    first = "password" if uses_password(caller) else "provider"
    if not caller.factors:
        return (first,)
    with_code = (first, "otp", "recoveryCode") if caller.factors & _TOTP else (first, "recoveryCode")
    return (*with_code, "credential") if caller.factors & _PASSKEY else with_code


def has_recent_first(caller: Principal, now: int) -> bool:
    """Whether the first factor that counts for the caller was verified recently, so that a code completes the proof."""
    return bool(first_ways(caller)) and _is_recent(caller.authenticated_at, now)


def first_ways(caller: Principal) -> tuple[Literal["pwd", "provider"], ...]:
    """Returns the first factors that count among those the session has verified: the password; the provider only for an
    account that uses no password, for which a password that was verified before the client turned passwords off counts
    too."""
    ways = caller.amr.split()
    if uses_password(caller):
        return ("pwd",) if "pwd" in ways else ()
    return tuple(way for way in _FIRST_WAYS if way in ways)


def _guards(caller: Principal, act: Act) -> bool:
    if act is Act.PASSWORD:
        return bool(caller.factors)
    return bool(act & ALWAYS) or settings_of(caller.tenant_settings).step_up == "management"


def has_proved(caller: Principal, act: Act, now: int) -> bool:
    """Whether the caller's proof is recent, and covers everything that the account has."""
    ways = caller.amr.split()
    if act is Act.FACTORS and not caller.factors:
        at = caller.authenticated_at
        if at is None and "provider" in ways:  # a provider that reports no time: use the sign-in's
            at = caller.created_at
        return bool(_FIRST.intersection(ways)) and _is_recent(at, now)
    if caller.factors:
        return "mfa" in ways and _is_recent(caller.authenticated_at, now)
    return has_recent_first(caller, now)


def _is_recent(at: int | None, now: int) -> bool:
    return at is not None and now - at < RECENT_MS
