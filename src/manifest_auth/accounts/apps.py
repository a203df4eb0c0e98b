"""Apps of a client: programs that sign in users through this server.

Owns ``device_apps`` (which contains all apps), ``app_secrets``, and ``app_grants``. Never opens a session.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final, Literal, NamedTuple, get_args

from sqlalchemy import BigInteger, Select, bindparam, delete, func, insert, literal, null, or_, select, update

from manifest_auth import audit, tenants
from manifest_auth.accounts import rank
from manifest_auth.accounts.mail_queue import AccountRequest
from manifest_auth.accounts.service_accounts import DEFAULT_OVERLAP_H, MOST_OVERLAP_H
from manifest_auth.accounts.service_accounts.credentials import checked_key_set, key_ids
from manifest_auth.audit import Act, Event
from manifest_auth.context import Request
from manifest_auth.errors import Conflict, ValidationError, existing
from manifest_auth.permissions import Permission, role_names
from manifest_auth.sessions import app_sessions
from manifest_auth.store import Store, TenantUnit, columns, cross_tenant, global_, tenant_scoped, upsert
from manifest_auth.store.tables import app_grants, app_secrets, apps, device_grants, sign_in_codes
from manifest_auth.store.tables import tenants as tenants_table
from manifest_auth.tenants import step_up
from manifest_auth.tenants.effective_settings import check_origin
from manifest_auth.text import fields, machine_secrets
from manifest_auth.text.canonical import check_return_address, check_web_address, when
from manifest_auth.text.languages import marked as _
from manifest_auth.text.machine_secrets import SecretKind
from manifest_auth.text.models import ErrorCollector

Kind = Literal["web", "browser", "native", "device"]
Algorithm = Literal["RS256", "ES256"]
#: The maximum numbers of apps per client, addresses per list, and live secrets per app.
MOST, MOST_ADDRESSES, MOST_SECRETS = 100, 20, 2
OIDC_SCOPES: Final = ("openid", "profile", "email", "roles", "offline_access")
#: The scopes that apps can have, in stored order. The product's permissions come last.
SCOPES: Final = (*OIDC_SCOPES, *(permission.value for permission in Permission))
ACCESS_S, REFRESH_DAYS = (60, 3600), (1, 365)
TOUCH_EVERY_MS: Final = 60_000
# Every client has the built-in app `manifest.IDENTIFIER` for its devices. It has no row and can't be removed.
OWN, MADE, _NAME_OF_OWN = "manifest.", "app_", "Manifest"
#: Scopes with which an app can grant access, or change the settings that protect Admins.
_MANAGING = frozenset({Permission.USERS_MANAGE.value, Permission.SETTINGS_MANAGE.value})
_LOOPBACK = re.compile(r"(http://(?:127\.[0-9.]+|localhost|\[::1\]))(?::[0-9]{1,5})?(?=[/?]|\Z)")


class App(NamedTuple):
    """An app. Lists are space-separated texts, ``roles`` is a bit mask (0 for everyone), ``access_s`` is in seconds,
    and ``jwks`` is JSON. Times are in milliseconds; ``created_at`` is None for the built-in app. ``tenant_id``,
    ``client`` (the identifier), and ``settings`` belong to its client. Only :func:`find_app` fills in ``secret_1`` and
    ``secret_2``, the hashes of its live secrets."""

    id: str
    name: str
    kind: str = "device"
    redirect_uris: str = ""
    post_logout_uris: str = ""
    allowed_origins: str = ""
    scopes: str = ""
    roles: int = 0
    consent: int = 0
    second_factor: int = 0
    access_s: int = 900
    refresh_days: int = 30
    id_token_alg: str = "RS256"  # noqa: S105 - an algorithm
    backchannel_uri: str | None = None
    jwks: str | None = None
    created_at: int | None = None
    created_by: str = ""
    last_used_at: int | None = None
    tenant_id: int = 0
    client: str = ""
    settings: str = ""
    secret_1: str | None = None
    secret_2: str | None = None

    @property
    def subject(self) -> str:
        """The app's name in the audit trail."""
        return f"app:{self.id}"

    @property
    def named(self) -> dict[str, str]:
        """The app's name in the detail of an event about a user."""
        return {"app": self.id, "name": self.name}

    def has_secret(self, secret: str) -> bool:
        """Whether the text is a live secret of this app, which must come from :func:`find_app`."""
        hashed = machine_secrets.hash_of(secret)
        return any(hmac.compare_digest(hashed, one or "") for one in (self.secret_1, self.secret_2))

    def is_redirect(self, address: str) -> bool:
        """Whether users can be redirected to this address. It must exactly match a listed one. For native apps, a
        loopback address can have any port (RFC 8252, section 7.3)."""
        listed = self.redirect_uris.split()
        if address in listed or self.kind != "native":
            return address in listed
        return _LOOPBACK.sub(r"\1", address) in {_LOOPBACK.sub(r"\1", one) for one in listed if _LOOPBACK.match(one)}


_A, _S, _G, _T = apps.c, app_secrets.c, app_grants.c, tenants_table.c
_NOW = bindparam("now", type_=BigInteger())
_LIVES = or_(_S.ends_at.is_(None), _S.ends_at > _NOW)
#: Members that callers can set.
GIVEN: Final = columns(
    "name redirect_uris post_logout_uris allowed_origins scopes roles consent second_factor access_s refresh_days "
    "id_token_alg backchannel_uri jwks"
)
LISTS: Final = columns("redirect_uris post_logout_uris allowed_origins scopes")


def _select(**secrets: Any) -> Select[Any]:
    made = {"secret_1": null(), "secret_2": null(), "client": _T.identifier.label("client"), "settings": _T.settings}
    found: Any = ((made | secrets).get(name, _A.get(name)) for name in App._fields)
    return select(*found).select_from(apps.join(tenants_table, _T.id == _A.tenant_id)).where(_A.removed_at.is_(None))


def _live_hash(choose: Any) -> Any:
    of_app = (_S.tenant_id == _A.tenant_id, _S.app_id == _A.id, _LIVES)
    return select(choose(_S.hash)).where(*of_app).correlate(apps).scalar_subquery()


_ID: Any = bindparam("of_id")
_LIST = tenant_scoped(_select().order_by(_A.created_at, _A.id), App)
_GET = tenant_scoped(_select().where(_A.id == _ID), App)
_LOCK, _SHARE = (
    tenant_scoped(_select().where(_A.id == _ID).with_for_update(of=apps, read=shared), App) for shared in (False, True)
)
_COUNT = tenant_scoped(select(func.count()).select_from(apps).where(_A.removed_at.is_(None)), int)
_ADD = tenant_scoped(
    insert(apps).values({name: bindparam(name) for name in ("id", "kind", *GIVEN, "created_at", "created_by")})
)
_THIS = update(apps).where(_A.id == _ID)
_CHANGE = tenant_scoped(_THIS.values({name: bindparam(f"new_{name}") for name in GIVEN}))
_REMOVE = tenant_scoped(_THIS.values(removed_at=_NOW))
_FORGET = tenant_scoped(delete(apps).where(_A.removed_at < bindparam("before")))
_KEPT_MS: Final = 86_400_000  # removed apps are kept until their logout tokens are delivered
_TOUCH = tenant_scoped(
    _THIS.where(or_(_A.last_used_at.is_(None), _A.last_used_at <= bindparam("before"))).values(last_used_at=_NOW)
)
_FIND_OWN = global_(
    select(_T.id, _T.identifier, _T.settings).where(_T.identifier == bindparam("identifier"), _T.suspended_at.is_(None))
)
_FIND = cross_tenant(
    _select(secret_1=_live_hash(func.min), secret_2=_live_hash(func.max)).where(
        _A.id == _ID, _T.suspended_at.is_(None)
    ),
    App,
    because="the client ID names the app, which belongs to a tenant",
)


def in_order(scopes: Collection[str]) -> str:
    """The scopes in their stored form."""
    return " ".join(scope for scope in SCOPES if scope in scopes)


def is_app_id(client_id: str) -> bool:
    """Whether a client ID has the format of an app's client ID."""
    return client_id.startswith((OWN, MADE))


async def find_app(store: Store, client_id: str, now: int) -> App | None:
    """Returns the app with this client ID, unless its client is suspended. Uses one statement, and never a cache."""
    if not client_id.startswith(OWN):
        if not client_id.startswith(MADE):
            return None
        return await store.look_up(_FIND, of_id=client_id, now=now)
    tenant = await store.look_up(_FIND_OWN, identifier=client_id.removeprefix(OWN))
    if tenant is None:
        return None
    return App(client_id, _NAME_OF_OWN, tenant_id=tenant[0], client=tenant[1], settings=tenant[2])


def own_app_id(client: str) -> str:
    """The client ID of a tenant's built-in app. ``client`` is the tenant's identifier."""
    return OWN + client


def list_apps(unit: TenantUnit) -> list[App]:
    """All apps of the client: the built-in one first, then the oldest."""
    tenant = tenants.get(unit, unit.tenant_id)
    own = App(own_app_id(tenant.identifier), _NAME_OF_OWN, tenant_id=tenant.id, client=tenant.identifier)
    return [own, *unit.all(_LIST)]


def app_names(unit: TenantUnit) -> dict[str, str]:
    """The names of all apps, by client ID."""
    return {app.id: app.name for app in list_apps(unit)}


def get_app(unit: TenantUnit, app_id: str, *, lock: bool = False, shared: bool = False) -> App:
    """Returns an app that a client created. ``lock`` locks it until the transaction ends. ``shared`` prevents changes
    and removal until then, while the app gets a session. Raises NotFound."""
    return existing(unit.first(_LOCK if lock else _SHARE if shared else _GET, of_id=app_id))


def touch(unit: TenantUnit, app_id: str, now: int) -> None:
    """Stores that the app was used, at most once a minute."""
    unit.change_later(_TOUCH, of_id=app_id, now=now, before=now - TOUCH_EVERY_MS)


def create_app(unit: TenantUnit, who: AccountRequest, kind: Kind, given: Mapping[str, Any]) -> App:
    """Creates an app. ``given`` contains members of :data:`GIVEN`, with lists as Python lists. Raises Forbidden,
    ReauthenticationRequired, ValidationError, or Conflict if there are too many."""
    _check_manages(unit, who)
    refresh_days = 1 if kind == "browser" else App("", "").refresh_days
    fresh = App(MADE + who.services.random.text(16), "", kind, refresh_days=refresh_days)
    made = fresh._replace(**_checked(kind, {"name": "", "redirect_uris": (), "scopes": (), **given}))
    _check_rank(unit, who, made.scopes)
    _check_called(unit, who, fresh, made)
    if unit.one(_COUNT) >= MOST:
        raise Conflict(_("A client can have at most %(number)s apps. Remove one first", number=MOST))
    values = {name: getattr(made, name) for name in ("id", "kind", *GIVEN)}
    unit.change(_ADD, **values, created_at=who.now, created_by=who.caller.actor)
    audit.record(unit, who, Event.APP_CREATED, made.subject, **_shown(made))
    return get_app(unit, made.id)


def changed(app: App, given: Mapping[str, Any]) -> App:
    """Returns the app with the ``given`` members. Raises ValidationError."""
    return app._replace(**_checked(app.kind, given))


def is_narrower(before: App, after: App) -> bool:
    """Whether the change reduces the app's scopes or users, or adds requirements for its users."""
    lets_fewer_in = after.roles and (not before.roles or before.roles & ~after.roles)
    asks_more = after.second_factor > before.second_factor or after.consent > before.consent
    return bool(lets_fewer_in) or asks_more or not set(before.scopes.split()) <= set(after.scopes.split())


def change_app(unit: TenantUnit, who: AccountRequest, app_id: str, given: Mapping[str, Any]) -> App:
    """Changes the ``given`` members. An app loses its sessions if the change reduces its scopes or users, or adds
    requirements for its users. An app that gets a JWKS keeps its secrets as long as a rotated secret would live. Raises
    NotFound and the errors of :func:`create_app`."""
    _check_manages(unit, who, app_id)
    before = get_app(unit, app_id, lock=True)
    after = changed(before, given)
    _check_rank(unit, who, before.scopes, after.scopes)
    _check_called(unit, who, before, after)
    if after == before:
        return after
    secrets = list_secrets(unit, who.now, app_id) if after.jwks is not None and before.jwks is None else []
    secrets_end = who.now + DEFAULT_OVERLAP_H * 3_600_000
    for secret in secrets:
        _end_secret(unit, after, secret.id, who.now, secrets_end)
    unit.change(_CHANGE, of_id=app_id, **{f"new_{name}": getattr(after, name) for name in GIVEN})
    ended = _end_all(unit, app_id, "app_changed", who.now) if is_narrower(before, after) else 0
    detail = audit.difference(_shown(before), _shown(after)) | ({"old_ends": when(secrets_end)} if secrets else {})
    audit.record(unit, who, Event.APP_CHANGED, after.subject, name=after.name, **detail, sessions_ended=ended)
    return after


def remove_app(unit: TenantUnit, who: Request, app_id: str) -> int:
    """Removes an app and ends its sessions. Returns how many there were. Raises Forbidden, ReauthenticationRequired, or
    NotFound."""
    _check_manages(unit, who, app_id)
    app = get_app(unit, app_id, lock=True)
    _check_rank(unit, who, app.scopes)
    unit.change(_FORGET, before=who.now - _KEPT_MS)
    unit.change(_REMOVE, of_id=app_id, now=who.now)
    unit.change(_DROP_DEVICES, of_id=app_id)
    unit.change(_DROP_GRANTS, of_id=app_id)
    ended = _end_all(unit, app_id, "app_removed", who.now)
    audit.record(unit, who, Event.APP_DELETED, app.subject, name=app.name, sessions_ended=ended)
    return ended


_DROP_DEVICES = tenant_scoped(delete(device_grants).where(device_grants.c.app_id == _ID))
_DROP_GRANTS = tenant_scoped(delete(app_grants).where(_G.app_id == _ID))
_CODES = delete(sign_in_codes).where(sign_in_codes.c.app_id == _ID, sign_in_codes.c.used_at.is_(None))
_DROP_CODES = tenant_scoped(_CODES)
_DROP_CODES_OF_USER = tenant_scoped(_CODES.where(sign_in_codes.c.user_id == bindparam("of_user")))


def _end_all(unit: TenantUnit, app_id: str, reason: str, now: int) -> int:
    unit.change(_DROP_CODES, of_id=app_id)
    return app_sessions.end_of_app(unit, app_id, reason, now)


def _check_manages(unit: TenantUnit, who: Request, app_id: str = "") -> None:
    step_up.check(who, Act.APPS)
    step_up.not_for_machines(who)
    rank.manager(unit, who, Permission.SETTINGS_MANAGE)
    if app_id.startswith(OWN) and app_id == own_app_id(tenants.get(unit, unit.tenant_id).identifier):
        raise Conflict(_("Every client has this app, so it can't be changed"))


def _check_rank(unit: TenantUnit, who: Request, *scopes: str) -> None:
    """Rejects callers other than Admins if the app can request a permission to grant access. Otherwise, the app's owner
    could act with the rank of its users."""
    if any(_MANAGING.intersection(one.split()) for one in scopes):
        rank.check_is_admin(unit, who, "Only an Admin can manage an app with permission to manage users or settings")


def _check_called(unit: TenantUnit, who: AccountRequest, before: App, after: App) -> None:
    """Rejects callers other than Admins if they choose an address that the server calls, because it might be in a
    private network."""
    if after.backchannel_uri is not None and after.backchannel_uri != before.backchannel_uri:
        rank.check_is_admin(unit, who, "Only an Admin can set the back-channel logout URI of an app")
        try:
            who.services.outgoing.check(after.backchannel_uri)
        except ValueError as error:
            raise ValidationError(details=[(wire_name("backchannel_uri"), f"The URL {error}")]) from error


_WIRE = {
    "post_logout_uris": "postLogoutRedirectUris",
    "access_s": "accessTokenSeconds",
    "refresh_days": "refreshTokenDays",
    "id_token_alg": "idTokenAlgorithm",
    "backchannel_uri": "backchannelLogoutUri",
}


def wire_name(member: str) -> str:
    """The name of a member in requests and forms."""
    return _WIRE.get(member, fields.wire_name(member))


#: The kinds of apps that have a member. All other members exist for every kind except devices.
_ONLY: Final = {"name": get_args(Kind), "allowed_origins": ("browser",), "backchannel_uri": ("web",), "jwks": ("web",)}
_NUMBERS: Final = {"access_s": ACCESS_S, "refresh_days": REFRESH_DAYS}


def _checked(kind: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the values in their stored form. Raises ValidationError that names all invalid members."""
    stored = {}
    with ErrorCollector() as each:
        for name, value in given.items():
            with each:
                has_it = kind in _ONLY.get(name, ("web", "browser", "native"))
                _refuse(wire_name(name), bool(value) and not has_it, f"Apps of kind {kind} don't have this setting")
                if has_it:
                    stored[name] = _stored(kind, name, value, wire_name(name))
    return stored


def _refuse(member: str, is_wrong: bool, sentence: str) -> None:
    if is_wrong:
        raise ValidationError(details=[(member, sentence)])


def _stored(kind: str, name: str, value: Any, member: str) -> Any:
    if name == "name":
        return fields.APP_NAME.check(value, member)
    if name == "scopes":
        asked = {*value, "openid"}
        _refuse(member, not asked <= set(SCOPES), "Apps can't have this scope")
        return in_order(asked)
    if name in LISTS:
        return _addresses(kind, value, member)
    if name in _NUMBERS:
        low, high = _NUMBERS[name]
        high = 1 if name == "refresh_days" and kind == "browser" else high
        _refuse(member, not low <= value <= high, f"Must be {low} to {high} for apps of kind {kind}")
    if name == "id_token_alg":
        _refuse(member, value not in get_args(Algorithm), "Must be RS256 or ES256")
    if name == "backchannel_uri" and value is not None:
        check_web_address(value, member)
    if name == "jwks":
        return checked_key_set(value)
    return int(value) if isinstance(value, bool) else value


def _addresses(kind: str, listed: Iterable[str], member: str) -> str:
    found = list(listed)
    _refuse(member, member == "redirectUris" and not found, "Enter at least one redirect URI")
    _refuse(member, len(found) > MOST_ADDRESSES, f"Enter at most {MOST_ADDRESSES} addresses")
    _refuse(member, len(set(found)) < len(found), "List each address once")
    is_origin = member == "allowedOrigins"
    check = check_origin if is_origin else check_return_address if kind == "native" else check_web_address
    with ErrorCollector() as each:
        for number, address in enumerate(found):
            with each:
                check(address, f"{member}[{number}]")
                _refuse(f"{member}[{number}]", "*" in address, "Wildcards are not allowed: list each address")
    return " ".join(found)


def _shown(app: App) -> dict[str, Any]:
    """The app's representation in the audit trail."""
    if app.kind == "device":
        return {"name": app.name, "kind": app.kind}
    shown = {name: getattr(app, name) for name in ("kind", *GIVEN)}
    return shown | {"roles": role_names(app.roles), "jwks": key_ids(app.jwks)}


# A secret doesn't expire on its own, because an expired secret would block every sign-in to the app. Rotation sets an
# end for the old secret, and revocation ends it immediately.


class AppSecret(NamedTuple):
    """A secret of an app. ``hint`` is its last four characters. Times are in milliseconds; ``ends_at`` is None if it
    has no end. ``text`` is the secret itself, which only the response that creates it contains."""

    id: str
    app_id: str
    hint: str
    created_at: int
    created_by: str
    ends_at: int | None = None
    text: str = ""


_OF_SECRET = AppSecret._fields[:-1]
_SECRETS = tenant_scoped(
    select(*(_S[name] for name in _OF_SECRET), literal("")).where(_LIVES).order_by(_S.created_at, _S.id), AppSecret
)
_ADD_SECRET = tenant_scoped(insert(app_secrets).values({name: bindparam(name) for name in (*_OF_SECRET, "hash")}))
_END_SECRET = tenant_scoped(update(app_secrets).where(_S.id == _ID).values(ends_at=bindparam("new_ends_at")))


def list_secrets(unit: TenantUnit, now: int, app_id: str = "") -> list[AppSecret]:
    """The live secrets of one or all apps, oldest first."""
    return [one for one in unit.all(_SECRETS, now=now) if app_id in ("", one.app_id)]


def create_secret(
    unit: TenantUnit, who: AccountRequest, app_id: str, *, in_place_of: str = "", overlap_h: int = 0
) -> AppSecret:
    """Creates a secret of a web app. ``in_place_of`` is the ID of the secret that it replaces, which ends after
    ``overlap_h`` hours (0 to :data:`MOST_OVERLAP_H`). Raises NotFound, Forbidden, ReauthenticationRequired,
    ValidationError, or Conflict if the app already has two."""
    _check_manages(unit, who, app_id)
    app, now, old = get_app(unit, app_id, lock=True), who.now, {}
    _check_rank(unit, who, app.scopes)
    if app.kind != "web":
        raise Conflict(_("An app of kind %(kind)s uses PKCE instead of a secret", kind=app.kind))
    if app.jwks is not None:
        raise Conflict(_("The app signs its requests. Remove its JWKS first"))
    if in_place_of:
        _refuse("overlapHours", not 0 <= overlap_h <= MOST_OVERLAP_H, f"Must be 0 to {MOST_OVERLAP_H}")
        ends_at = now + overlap_h * 3_600_000
        ends_at = min(_end_secret(unit, app, in_place_of, now, ends_at).ends_at or ends_at, ends_at)
        old = {"in_place_of": in_place_of, "old_ends": when(ends_at)}
    if len(list_secrets(unit, now, app.id)) >= MOST_SECRETS:
        raise Conflict(_("An app can have at most %(number)s secrets. Revoke one first", number=MOST_SECRETS))
    random = who.services.random
    text = machine_secrets.make(SecretKind.CLIENT_SECRET, random.bytes(machine_secrets.RANDOM_BYTES))
    hint = machine_secrets.hint_of(text)
    made = AppSecret(
        id=random.text(12), app_id=app.id, hint=hint, created_at=now, created_by=who.caller.actor, text=text
    )
    unit.change(_ADD_SECRET, hash=machine_secrets.hash_of(text), **made._asdict())
    audit.record(unit, who, Event.APP_SECRET_CREATED, app.subject, name=app.name, key=made.id, hint=hint, **old)
    return made


def revoke_secret(unit: TenantUnit, who: Request, app_id: str, secret_id: str) -> None:
    """Ends a secret. Raises NotFound or Forbidden."""
    step_up.not_for_machines(who)
    rank.manager(unit, who, Permission.SETTINGS_MANAGE)
    app = get_app(unit, app_id, lock=True)
    _check_rank(unit, who, app.scopes)
    secret = _end_secret(unit, app, secret_id, who.now, who.now)
    audit.record(unit, who, Event.APP_SECRET_REVOKED, app.subject, name=app.name, key=secret.id, hint=secret.hint)


def _end_secret(unit: TenantUnit, app: App, secret_id: str, now: int, ends_at: int) -> AppSecret:
    """Sets an earlier end for a live secret. Returns the secret as it was before. Raises NotFound."""
    found = existing(next((one for one in list_secrets(unit, now, app.id) if one.id == secret_id), None))
    unit.change(_END_SECRET, of_id=found.id, new_ends_at=min(found.ends_at or ends_at, ends_at))
    return found


# A grant is the access that a user gives an app, either by consent or, if the app doesn't ask for it, silently.


class Grant(NamedTuple):
    """A grant. ``scopes`` are space-separated. ``given_at`` is when it was first granted, ``consented_at`` when the
    user agreed to the scopes (None if nobody asked), and ``recorded_at`` when the audit trail last recorded it. Times
    are in milliseconds."""

    user_id: int
    app_id: str
    scopes: str
    given_at: int
    consented_at: int | None
    last_used_at: int
    recorded_at: int | None

    def covers(self, scopes: Iterable[str]) -> bool:
        """Whether the user agreed to all of these scopes."""
        return self.consented_at is not None and set(scopes) <= set(self.scopes.split())


_GRANT = select(*(_G[name] for name in Grant._fields))
_OF_USER, _OF_APP = _G.user_id == bindparam("of_user"), _G.app_id == _ID
_FIND_GRANT = tenant_scoped(_GRANT.where(_OF_USER, _OF_APP), Grant)
_GRANTS_OF_USER = tenant_scoped(_GRANT.where(_OF_USER).order_by(_G.given_at, _G.app_id), Grant)
_GRANTS_OF_APP = tenant_scoped(
    _GRANT.where(_OF_APP).order_by(_G.last_used_at.desc(), _G.user_id).limit(bindparam("most", type_=BigInteger())),
    Grant,
)
_COUNT_GRANTS = tenant_scoped(select(func.count()).select_from(app_grants).where(_OF_APP), int)
_PUT = upsert(app_grants).values({name: bindparam(name) for name in Grant._fields})
_GIVE = tenant_scoped(
    _PUT.on_conflict_do_update(
        index_elements=["tenant_id", "user_id", "app_id"],
        set_={name: _PUT.excluded[name] for name in ("scopes", "consented_at", "last_used_at", "recorded_at")},
    )
)
_WITHDRAW = tenant_scoped(delete(app_grants).where(_OF_USER, _OF_APP))


def find_grant(unit: TenantUnit, user_id: int, app_id: str, now: int) -> Grant:
    """Returns the grant of a user to an app, or an empty one, granted ``now``, if there is none."""
    fresh = Grant(
        user_id=user_id, app_id=app_id, scopes="", given_at=now, consented_at=None, last_used_at=now, recorded_at=None
    )
    return unit.first(_FIND_GRANT, of_user=user_id, of_id=app_id) or fresh


def put_grant(unit: TenantUnit, grant: Grant) -> None:
    """Stores a grant in place of the user's previous one for the app. Keeps the time of the first grant."""
    unit.change_later(_GIVE, **grant._asdict())


def list_grants(unit: TenantUnit, user_id: int) -> list[tuple[Grant, App]]:
    """The apps with access to a user's account and the permissions of each, oldest access first."""
    found = {app.id: app for app in unit.all(_LIST)}
    return [(one, found[one.app_id]) for one in unit.all(_GRANTS_OF_USER, of_user=user_id) if one.app_id in found]


def list_grants_of(unit: TenantUnit, app_id: str, most: int) -> list[Grant]:
    """The grants of users to an app, most recently used first, up to a limit."""
    return unit.all(_GRANTS_OF_APP, of_id=app_id, most=most)


def count_grants_of(unit: TenantUnit, app_id: str) -> int:
    """The number of users who granted an app access."""
    return unit.one(_COUNT_GRANTS, of_id=app_id)


def withdraw(unit: TenantUnit, who: Request, user_id: int, app_id: str) -> int:
    """Removes an app from a user's account: its grant, codes, and sessions. Returns how many sessions ended. Raises
    NotFound."""
    step_up.not_for_devices(who)
    app = get_app(unit, app_id)
    if not unit.change(_WITHDRAW, of_user=user_id, of_id=app_id):
        existing(None)
    unit.change(_DROP_CODES_OF_USER, of_id=app_id, of_user=user_id)
    ended = app_sessions.end_of_app(unit, app_id, "consent_withdrawn", who.now, of_user=user_id)
    audit.record(unit, who, Event.CONSENT_WITHDRAWN, f"user:{user_id}", **app.named, sessions_ended=ended)
    return ended


_ORIGINS = cross_tenant(
    select(_A["allowed_origins"])
    .select_from(apps.join(tenants_table, _T.id == _A.tenant_id))
    .where(
        _T.identifier == bindparam("identifier"),
        _T.suspended_at.is_(None),
        _A.removed_at.is_(None),
        _A.kind != "device",
    ),
    str,
    because="an issuer's address names the client",
)


async def origins_of(store: Store, client: str) -> frozenset[str] | None:
    """The origins that a client's apps list. Returns None if the client has no apps or is suspended."""
    found: list[str] = await store.read(lambda unit: unit.all(_ORIGINS, identifier=client))
    return frozenset(origin for listed in found for origin in listed.split()) if found else None
