"""Identity providers of a tenant: their rows, and lookups by name, domain, or directory."""

from __future__ import annotations

from typing import NamedTuple, TypeVar

import msgspec
from sqlalchemy import and_, bindparam, delete, insert, or_, select, update
from sqlalchemy import func as sql

from manifest_auth import tenants
from manifest_auth.errors import Conflict, Forbidden, ValidationError, existing
from manifest_auth.providers.identities import Issuer, forget_all, reset_verification
from manifest_auth.providers.settings import (
    KindSettings,
    Rules,
    Secrets,
    Settings,
    check_provider_name,
    own_settings_of,
    settings_of,
)
from manifest_auth.runtime.sealing import Sealer
from manifest_auth.store import Listing, SystemUnit, TenantUnit, cross_tenant, tenant_scoped, upsert
from manifest_auth.store.tables import (
    directory_claims,
    domain_owners,
    kept_tokens,
    provider_domains,
    providers,
    sealed_for,
    sign_in_codes,
    sign_in_flows,
)
from manifest_auth.store.tables import tenants as tenants_table
from manifest_auth.tenants.claims.directories import PROVED
from manifest_auth.text.languages import marked as _

S = TypeVar("S", bound=KindSettings)
MOST = 50


class Provider(NamedTuple):
    id: int
    tenant_id: int
    name: str
    display_name: str
    kind: str
    issuer: str
    settings: str
    secrets: bytes | None
    reaches_admins: int
    created_at: int
    changed_at: int
    disabled_at: int | None
    disabled_by_admin: int | None

    @property
    def rules(self) -> Rules:
        return settings_of(self.settings, Rules)

    def own(self, model: type[S]) -> S:
        """Returns the settings of its kind. Raises SsoFailed for a provider of another kind."""
        return own_settings_of(self.settings, self.kind, model)


_C, _D = providers.c, provider_domains.c
_ALL = select(*(_C[name] for name in Provider._fields))
_BY_NAME = tenant_scoped(_ALL.where(_C.name == bindparam("name")), Provider)
_BY_ID = tenant_scoped(_ALL.where(_C.id == bindparam("id")), Provider)
_SHARED = tenant_scoped(_ALL.where(_C.id == bindparam("id")).with_for_update(read=True), Provider)
_LOCKED = tenant_scoped(_ALL.where(_C.id == bindparam("id")).with_for_update(), Provider)
_LIST = tenant_scoped(_ALL.order_by(_C.name).limit(MOST), Provider)
#: Filters take ``of_kind`` and ``like``, see :func:`manifest_auth.text.canonical.like`.
LISTING = Listing(
    _ALL,
    Provider,
    key=_C.id,
    sorts={"ID": _C.id, "NAME": _C.name},
    filters={
        "search": or_(
            _C.name.like(bindparam("like"), escape="\\"),
            sql.lower(_C.display_name).like(bindparam("like"), escape="\\"),
        ),
        "kind": _C.kind == bindparam("of_kind"),
        "on": _C.disabled_at.is_(None),
        "off": _C.disabled_at.is_not(None),
    },
)
_SAME_ISSUER = tenant_scoped(_ALL.where(_C.issuer == bindparam("issuer"), _C.kind == bindparam("kind")), Provider)
_NEW = ("name", "display_name", "kind", "issuer", "settings", "reaches_admins", "created_at", "changed_at")
_ADD = tenant_scoped(insert(providers).values({name: bindparam(name) for name in _NEW}).returning(_C.id), int)
_SET_SECRETS = tenant_scoped(update(providers).where(_C.id == bindparam("id")).values(secrets=bindparam("new_secrets")))
_CHANGED = ("display_name", "issuer", "settings", "reaches_admins", "changed_at")
_CHANGE = tenant_scoped(
    update(providers).where(_C.id == bindparam("id")).values({name: bindparam("new_" + name) for name in _CHANGED})
)
_SWITCH = tenant_scoped(
    update(providers)
    .where(_C.id == bindparam("id"))
    .values(disabled_at=bindparam("at"), disabled_by_admin=bindparam("by"))
)
_COUNT = tenant_scoped(select(sql.count()).select_from(providers), int)
_ADD_DOMAIN = tenant_scoped(
    insert(provider_domains).values(provider_id=bindparam("provider_id"), domain=bindparam("domain"))
)
_CLEAR_DOMAINS = tenant_scoped(delete(provider_domains).where(_D.provider_id == bindparam("of_provider")))
_CLEAR_FLOWS = tenant_scoped(delete(sign_in_flows).where(sign_in_flows.c.provider_id == bindparam("of_provider")))
_CLEAR_TOKENS = tenant_scoped(delete(kept_tokens).where(kept_tokens.c.provider_id == bindparam("of_provider")))
_CLEAR = (
    _CLEAR_DOMAINS,
    _CLEAR_FLOWS,
    _CLEAR_TOKENS,
    tenant_scoped(delete(sign_in_codes).where(sign_in_codes.c.provider_id == bindparam("of_provider"))),
)
_DELETE = tenant_scoped(delete(providers).where(_C.id == bindparam("id")))


def find(unit: TenantUnit, name: str) -> Provider | None:
    return unit.first(_BY_NAME, name=name)


def get(unit: TenantUnit, name: str, *, lock: bool = False) -> Provider:
    """Returns the provider of that name. ``lock``: lock the row until the transaction ends. Raises NotFound."""
    found = existing(unit.first(_BY_NAME, name=name))
    return existing(unit.first(_LOCKED, id=found.id)) if lock else found


def find_by_id(unit: TenantUnit, provider_id: int, *, shared: bool = False, lock: bool = False) -> Provider | None:
    """Returns the provider with that ID, or None. ``lock``, ``shared``: hold an exclusive or a shared lock on the row
    until the transaction ends."""
    return unit.first(_LOCKED if lock else _SHARED if shared else _BY_ID, id=provider_id)


def get_by_id(unit: TenantUnit, provider_id: int) -> Provider:
    """Returns the provider with that ID. Raises NotFound."""
    return existing(find_by_id(unit, provider_id))


def list_all(unit: TenantUnit) -> list[Provider]:
    """Lists all providers of the tenant, at most :data:`MOST`, by name."""
    return unit.all(_LIST)


def find_with_issuer(unit: TenantUnit, kind: str, issuer: str) -> Provider | None:
    """Returns the tenant's provider of an issuer, for kinds with issuers that are unique in a tenant."""
    return unit.first(_SAME_ISSUER, issuer=issuer, kind=kind)


def create(
    unit: TenantUnit,
    sealer: Sealer,
    name: str,
    display_name: str,
    settings: Settings,
    secrets: Secrets,
    *,
    by_admin: bool,
    now: int,
) -> Provider:
    """Creates a provider. ``by_admin``: an Admin or a system admin creates it, see :func:`change`. Raises
    ValidationError, Conflict, Forbidden."""
    check_provider_name(name)
    settings.check()
    own = settings.own
    own.check_rank(None, by_admin)
    # Limits and uniqueness depend on the existing ones. (The entity ID of an existing provider does not change.)
    tenants.get(unit, unit.tenant_id, lock=True)
    if unit.one(_COUNT) >= MOST:
        raise Conflict(_("A client can have at most %(number)s providers", number=MOST))
    if find(unit, name):
        raise Conflict(_("This name is already taken"))
    _check_unique(unit, own, None)
    text = msgspec.json.encode(settings).decode()
    added = unit.one(
        _ADD,
        name=name,
        display_name=display_name,
        kind=own.kind,
        issuer=own.identifier,
        settings=text,
        reaches_admins=int(by_admin),
        created_at=now,
        changed_at=now,
    )
    _set_domains(unit, added, settings)
    return replace_secrets(unit, sealer, get_by_id(unit, added), secrets)


def change(
    unit: TenantUnit, provider: Provider, display_name: str, settings: Settings, *, by_admin: bool, now: int
) -> Provider:
    """Replaces the settings.

    Anyone who changes a provider decides which people it matches to users. So a provider that a User Admin changed
    can't sign in Admins until an Admin saves it (``docs/decisions/0018-providers-and-rank.md``). Raises
    ValidationError, Forbidden.
    """
    settings.check()
    own, before = settings.own, settings_of(provider.settings, type(settings))
    if own.kind != provider.kind:
        raise ValidationError(details=[(own.kind, _("The kind of a provider can't be changed"))])
    own.check_rank(before.own, by_admin)
    _check_unique(unit, own, provider.id)
    text = msgspec.json.encode(settings).decode()
    reaches = by_admin or (bool(provider.reaches_admins) and settings == before)
    # A sign-in that started with the old settings must find a different `changed_at`, even within the same millisecond.
    changed_at = max(now, provider.changed_at + 1)
    unit.change(
        _CHANGE,
        id=provider.id,
        new_display_name=display_name,
        new_issuer=own.identifier,
        new_settings=text,
        new_reaches_admins=int(reaches),
        new_changed_at=changed_at,
    )
    unit.change(_CLEAR_DOMAINS, of_provider=provider.id)
    _set_domains(unit, provider.id, settings)
    if own != before.own:
        # A pending response of the old provider must not reach the new one.
        unit.change(_CLEAR_FLOWS, of_provider=provider.id)
        unit.change(_CLEAR_TOKENS, of_provider=provider.id)  # stored tokens of the old provider are useless
        reset_verification(unit, provider.id, by_admin=by_admin)  # the old provider's verifications no longer count
    unit.announce("tenant", unit.tenant_id)  # callers with its tokens are verified again
    return get_by_id(unit, provider.id)


def replace_secrets(unit: TenantUnit, sealer: Sealer, provider: Provider, secrets: Secrets) -> Provider:
    """Stores the secrets, encrypted for this row only."""
    sealed = sealer.seal(msgspec.json.encode(secrets), _row(unit.tenant_id, provider.id))
    unit.change(_SET_SECRETS, id=provider.id, new_secrets=sealed)
    return provider._replace(secrets=sealed)


def open_secrets(sealer: Sealer, provider: Provider) -> Secrets:
    """Returns the decrypted secrets. Raises CannotOpen, which names the provider."""
    if provider.secrets is None:
        return Secrets()
    opened = sealer.open(provider.secrets, _row(provider.tenant_id, provider.id), f"provider {provider.name}")
    return msgspec.json.decode(opened, type=Secrets)


def switch(unit: TenantUnit, provider: Provider, *, on: bool, by_admin: bool, now: int) -> Provider:
    """Turns a provider on or off. The caller ends its sessions. ``by_admin``: the same as for :func:`create`; only an
    Admin can turn on what an Admin turned off. Raises Forbidden."""
    if on and provider.disabled_by_admin and not by_admin:
        raise Forbidden(_("Only an Admin can turn on a provider that an Admin turned off"))
    unit.announce("tenant", unit.tenant_id)
    at, by = (None, None) if on else (now, int(by_admin))
    unit.change(_SWITCH, id=provider.id, at=at, by=by)
    return provider._replace(disabled_at=at, disabled_by_admin=by)


def remove(unit: TenantUnit, provider: Provider, issuer: Issuer) -> None:
    """Deletes the provider with its flows, codes, tokens and identities. ``issuer`` identifies their subjects later."""
    for statement in _CLEAR:
        unit.change(statement, of_provider=provider.id)
    forget_all(unit, provider.id, issuer)
    unit.announce("tenant", unit.tenant_id)
    unit.change(_DELETE, id=provider.id)


def _check_unique(unit: TenantUnit, own: KindSettings, own_id: int | None) -> None:
    """Raises Conflict if another provider of the client has the same unique identifier."""
    others = unit.all(_SAME_ISSUER, issuer=own.identifier, kind=own.kind) if own.unique else []
    for other in others:
        if other.id != own_id:
            raise Conflict(_("The provider %(name)s already has this %(label)s", name=other.name, label=own.unique))


def _set_domains(unit: TenantUnit, provider_id: int, settings: Settings) -> None:
    for domain in sorted(set(settings.domains)):
        unit.change(_ADD_DOMAIN, provider_id=provider_id, domain=domain)


def _row(tenant_id: int, provider_id: int) -> str:
    return sealed_for(_C.secrets, tenant_id=tenant_id, id=provider_id)


class ProviderOption(NamedTuple):
    """A provider with which a user of the domain can sign in."""

    client: str
    name: str
    display_name: str
    kind: str


_K, _O, _T = directory_claims.c, domain_owners.c, tenants_table.c
_BY_DOMAIN = cross_tenant(
    select(_T.identifier, _C.name, _C.display_name, _C.kind)
    .select_from(
        domain_owners.join(provider_domains, and_(_D.domain == _O.domain, _D.tenant_id == _O.tenant_id))
        .join(providers, and_(_C.tenant_id == _D.tenant_id, _C.id == _D.provider_id))
        .join(tenants_table, _T.id == _C.tenant_id)
    )
    .where(_O.domain == bindparam("domain"), _C.disabled_at.is_(None), _T.suspended_at.is_(None))
    .order_by(_C.name)
    .limit(MOST),
    ProviderOption,
    because="an email address is entered before the client is known; its domain determines the client that owns it",
)
_LISTED = cross_tenant(
    select(_D.domain).limit(1),
    str,
    because="without a provider that lists the domain, an email address doesn't determine a client",
)
_BY_DIRECTORY = cross_tenant(
    select(*(_C[name] for name in Provider._fields))
    .select_from(providers.join(directory_claims, (_K.tenant_id == _C.tenant_id) & (_K.directory == _C.issuer)))
    .where(
        _C.issuer == bindparam("directory"), _C.kind == bindparam("kind"), _C.disabled_at.is_(None), _K.state == PROVED
    )
    .order_by(_C.id)
    .limit(bindparam("limit")),
    Provider,
    because="a bearer token names its directory, which determines the clients with a valid claim on it",
)


def find_by_domain(unit: SystemUnit, domain: str) -> list[ProviderOption]:
    """Lists the enabled providers that list a domain, for the client that has a valid claim on it."""
    return unit.all(_BY_DOMAIN, domain=domain)


def list_domains(unit: SystemUnit) -> bool:
    """Whether a provider of any client lists an email domain."""
    return unit.first(_LISTED) is not None


def find_by_directory(unit: SystemUnit, kind: str, directory: str, limit: int) -> list[Provider]:
    """Lists the enabled providers of that kind for a directory, for the clients that have a valid claim on it."""
    return unit.all(_BY_DIRECTORY, kind=kind, directory=directory, limit=limit)


# Tokens are stored only if the provider's settings require it.

_KEPT = kept_tokens.c
_KEEP = tenant_scoped(
    upsert(kept_tokens)
    .values({name: bindparam(name) for name in ("provider_id", "user_id", "tokens", "kept_at")})
    .on_conflict_do_update(
        index_elements=["tenant_id", "provider_id", "user_id"],
        set_={"tokens": bindparam("tokens"), "kept_at": bindparam("kept_at")},
    )
)
_DROP = tenant_scoped(delete(kept_tokens).where(_KEPT.user_id == bindparam("of_user")))
_DROP_ONE = tenant_scoped(
    delete(kept_tokens).where(_KEPT.user_id == bindparam("of_user"), _KEPT.provider_id == bindparam("of_provider"))
)


def store_tokens(unit: TenantUnit, sealer: Sealer, provider: Provider, user_id: int, tokens: bytes, now: int) -> None:
    """Stores the tokens, replacing the user's earlier ones."""
    row = sealed_for(_KEPT.tokens, provider_id=provider.id, user_id=user_id)
    unit.change(_KEEP, provider_id=provider.id, user_id=user_id, tokens=sealer.seal(tokens, row), kept_at=now)


def drop_tokens(unit: TenantUnit, user_id: int, provider_id: int | None = None) -> None:
    """Deletes all tokens of the user, or those of one provider."""
    if provider_id is None:
        unit.change(_DROP, of_user=user_id)
    else:
        unit.change(_DROP_ONE, of_user=user_id, of_provider=provider_id)
