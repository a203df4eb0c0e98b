"""Changes to providers: creating, changing, turning on or off, and deleting them, each recorded in the audit trail."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

import msgspec
from msgspec import UNSET, Meta, UnsetType

from manifest_auth import audit, providers, sessions
from manifest_auth.accounts import rank
from manifest_auth.audit import Act, Event
from manifest_auth.clients import admins_way_in
from manifest_auth.context import AdminCaller, SystemCaller
from manifest_auth.errors import Conflict, Forbidden, ValidationError
from manifest_auth.permissions import Role
from manifest_auth.providers import Issuer, Provider, Secrets, Settings
from manifest_auth.providers.settings import PROVIDER_NAME
from manifest_auth.services import RequestContext
from manifest_auth.sign_in.providers import group_roles, kinds
from manifest_auth.sign_in.providers.kind import CertificateData, OurselvesData, optional
from manifest_auth.sign_in.providers.kinds import KINDS, settings_of
from manifest_auth.store import SystemUnit, TenantUnit
from manifest_auth.tenants import step_up
from manifest_auth.tenants.claims import directories, domains
from manifest_auth.text import fields
from manifest_auth.text.canonical import when
from manifest_auth.text.languages import marked as _
from manifest_auth.text.models import ErrorCollector, at_most_one, convert, exactly_one, matching

_KEPT_KEYS = 2  # the current key and the previous one: providers need time to switch to the new certificate

#: Creates the provider in a transaction of the client. Raises ValidationError, Conflict.
Make = Callable[[TenantUnit], Provider]


class Draft(NamedTuple):
    """A parsed body. ``members`` are merged into the settings. ``has_secret`` means that it sets the client secret.
    ``vouch`` approves the provider's claims."""

    members: dict[str, Any]
    has_secret: bool
    secret: str | None
    vouch: bool

    @property
    def is_about_people(self) -> bool:
        """Whether the body sets anything that affects how people are matched to users, or sets nothing at all, which
        confirms the current settings. A display name or client secret on its own confirms nothing."""
        settles = any(value != {} for name, value in self.members.items() if name not in ("name", "displayName"))
        return settles or not (self.members or self.has_secret)


def draft_of(body: msgspec.Struct) -> Draft:
    """Parses a body. Some kinds convert members, such as metadata. Raises ValidationError."""
    members: dict[str, Any] = msgspec.to_builtins(body)
    vouch = members.pop("vouch", False)
    members.pop("enabled", None)  # for a new provider, see :func:`prepare`
    secret, has_secret = None, False
    for name in KINDS.keys() & members.keys():
        has_secret = has_secret or "clientSecret" in members[name]
        secret = members[name].pop("clientSecret", secret)
        members[name] = KINDS[name].read(members[name])
    return Draft(members, has_secret, secret, vouch)


def merged(before: Provider | None, draft: Draft) -> Settings:
    """Returns the settings with the draft merged in. Raises ValidationError."""
    members = {k: v for k, v in draft.members.items() if k not in ("name", "displayName")}
    stored = kinds.settings_of(before) if before is not None else None
    kept: dict[str, Any] = msgspec.to_builtins(stored) if stored is not None else {}
    settings = convert(_merge(kept, members), kinds.Settings)
    settings.check()
    if stored is not None:
        settings.own.check_change(stored.own)
    return settings


async def prepare(ctx: RequestContext, client: str, body: Any) -> Make:
    """Validates a body, and creates the key that SAML needs, outside of a transaction. ``client`` is its identifier.
    Raises ValidationError."""
    step_up.check(ctx, Act.PROVIDERS)
    name: str = body.name
    shown = "" if body.display_name is msgspec.UNSET else body.display_name
    draft, settings, display_name = None, None, ""
    with ErrorCollector() as each:
        with each:
            providers.check_provider_name(name)
        with each:
            display_name = fields.DISPLAY_NAME.check(shown or name, "displayName")
        with each:
            draft = draft_of(body)
            settings = merged(None, draft)
            KINDS[settings.own.kind].check_here(ctx.services, settings.own)
    assert draft is not None
    assert settings is not None
    pair = await KINDS[settings.own.kind].new_key(ctx, _key_name(client, name))
    secrets = _with_key(Secrets(client_secret=draft.secret), pair) if pair else Secrets(client_secret=draft.secret)

    def make(unit: TenantUnit) -> Provider:
        sealer, by_admin = ctx.services.sealer, rank.is_admin(ctx)
        made = providers.create(unit, sealer, name, display_name, settings, secrets, by_admin=by_admin, now=ctx.now)
        detail: dict[str, Any] = {"name": name, "settings": made.settings}
        if not body.enabled:
            made = providers.switch(unit, made, on=False, by_admin=by_admin, now=ctx.now)
            detail["on"] = False
        audit.record(unit, ctx, Event.PROVIDER_CREATED, f"provider:{made.id}", **detail)
        _claim(unit, ctx, made, vouch=draft.vouch)
        return made

    return make


def change(unit: TenantUnit, ctx: RequestContext, name: str, draft: Draft, *, by_admin: bool) -> Provider:
    """Changes a provider. ``by_admin`` means that the caller ranks as an Admin. Raises NotFound, ValidationError,
    Conflict, or Forbidden."""
    step_up.check(ctx, Act.PROVIDERS)
    services = ctx.services
    before = providers.get(unit, name, lock=True)
    secrets = providers.open_secrets(services.sealer, before)
    settings, display_name = None, ""
    with ErrorCollector() as each:
        with each:
            shown = draft.members.get("displayName") or before.display_name
            display_name = fields.DISPLAY_NAME.check(shown, "displayName")
        with each:
            settings = merged(before, draft)
            KINDS[before.kind].check_here(services, settings.own)
    assert settings is not None
    is_same = settings == settings_of(before)
    if not by_admin and (draft.has_secret or not is_same):
        admins_way_in.check_stays(unit, ctx, before, still_reaches=is_same)
    confirms = by_admin and draft.is_about_people
    after = providers.change(unit, before, display_name, settings, by_admin=confirms, now=ctx.now)
    elsewhere = settings.own.secret_for != settings_of(before).own.secret_for
    if secrets.client_secret is not None and elsewhere and not draft.has_secret:
        # Otherwise a User Admin, who can't read the secret, could point the provider to their own server and receive
        # it.
        raise ValidationError(
            details=[(f"{before.kind}.clientSecret", _("Enter it again, because the issuer changed"))]
        )
    if draft.has_secret:
        fresh = msgspec.structs.replace(secrets, client_secret=draft.secret)
        after = providers.replace_secrets(unit, services.sealer, after, fresh)
    detail = {
        "before": [before.display_name, before.settings],
        "after": [after.display_name, after.settings],
        "secret_changed": draft.has_secret,
    }
    audit.record(unit, ctx, Event.PROVIDER_CHANGED, f"provider:{after.id}", **detail)
    _claim(unit, ctx, after, vouch=draft.vouch)
    return after


def switch(unit: TenantUnit, ctx: RequestContext, name: str, *, on: bool, by_admin: bool) -> Provider:
    """Turns a provider on, which voids its earlier proofs, or off, which ends its sessions. Raises NotFound, Conflict,
    or Forbidden."""
    step_up.check(ctx, Act.PROVIDERS)
    if on:  # before the lock, which an exchange takes last
        sessions.void_pending_of_provider(unit, providers.get(unit, name).id)
    provider = providers.get(unit, name, lock=True)
    audit.check_is_open(unit, ctx, may_end=not on)
    if (provider.disabled_at is None) == on:
        raise Conflict(_("The provider is already turned on") if on else _("The provider is already turned off"))
    if not on:
        admins_way_in.check_stays(unit, ctx, provider)
    after = providers.switch(unit, provider, on=on, by_admin=by_admin, now=ctx.now)
    ended = 0 if on else sessions.end_provider(unit, provider.id, "provider_switched_off", ctx.now)
    event = Event.PROVIDER_SWITCHED_ON if on else Event.PROVIDER_SWITCHED_OFF
    detail = {"before": {"on": not on}, "after": {"on": on}, "sessions_ended": ended}
    audit.record(unit, ctx, event, f"provider:{provider.id}", name=provider.name, **detail)
    return after


async def prepare_key(
    ctx: RequestContext, client: str, provider: Provider, *, by_admin: bool
) -> Callable[[TenantUnit], Provider]:
    """Creates a new key outside of a transaction. Returns the function that stores it. Raises Conflict if this kind of
    provider has no key."""
    step_up.check(ctx, Act.PROVIDERS)
    pair = await KINDS[provider.kind].new_key(ctx, _key_name(client, provider.name))
    if pair is None:
        raise Conflict(_("Only SAML providers use this server's keys"))

    def rotate(unit: TenantUnit) -> Provider:
        now = providers.get(unit, provider.name, lock=True)
        if not by_admin:
            admins_way_in.check_stays(unit, ctx, now, still_reaches=True)
        fresh = _with_key(providers.open_secrets(ctx.services.sealer, now), pair)
        audit.record(unit, ctx, Event.PROVIDER_CHANGED, f"provider:{now.id}", key="rotated")
        return providers.replace_secrets(unit, ctx.services.sealer, now, fresh)

    return rotate


def _key_name(client: str, provider: str) -> str:
    return f"{client} {provider}"[:60]


def _with_key(secrets: Secrets, pair: tuple[str, str]) -> Secrets:
    key, certificate = pair
    return msgspec.structs.replace(
        secrets, keys=(key, *secrets.keys)[:_KEPT_KEYS], certificates=(certificate, *secrets.certificates)[:_KEPT_KEYS]
    )


def _claim(unit: TenantUnit, ctx: RequestContext, provider: Provider, *, vouch: bool) -> None:
    """Adds the claims of a saved provider for its client: its domains and its Microsoft directory.

    A claim has no effect on its own. With ``vouch``, a system admin, or the operator on the command line, also approves
    them. Raises ValidationError for a name that can't be claimed, Conflict if it has another owner, and Forbidden if
    other callers set ``vouch``.
    """
    if vouch and not isinstance(ctx.caller, AdminCaller | SystemCaller):
        raise Forbidden("Only a system admin can approve domains")
    services = ctx.services
    named = list(dict.fromkeys(provider.rules.domains))
    domains.claim_all(unit, ctx, named, services.random)
    if vouch:
        for number, domain in enumerate(named):
            reason = f"saved with the provider {provider.name}"
            domains.vouch(unit, ctx, domain, reason, services.random, f"domains[{number}]")
    directory = settings_of(provider).own.microsoft_directory(services.microsoft.clouds)
    if directory is not None:
        directories.check(directory.id, f"{provider.kind}.directory")
        if vouch:
            directories.vouch(unit, ctx, directory.id, "approved when its provider was saved", directory.cloud)
        else:
            directories.claim(unit, ctx, directory.id, directory.cloud)


def _merge(kept: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    both = dict(kept)
    for name, value in given.items():
        before = both.get(name)
        both[name] = _merge(before, value) if isinstance(value, dict) and isinstance(before, dict) else value
    return both


# A provider that granted roles to many users is deleted in steps, each in its own transaction. It is turned off first,
# so that no more users sign in. Repeating an interrupted deletion continues it.

STEP = 100  # identities per transaction


async def delete(ctx: RequestContext, client: Callable[[SystemUnit], TenantUnit], name: str, *, by_admin: bool) -> None:
    """Deletes the provider. ``client`` returns the client's unit. ``by_admin`` means that the caller ranks as an Admin.
    Raises NotFound, Forbidden for a User Admin if the provider's groups granted the role Admin, which only an Admin can
    remove, and the errors of :func:`.admins_way_in.check_stays`."""

    step_up.check(ctx, Act.PROVIDERS)
    await ctx.services.store.read(lambda unit: audit.check_is_open(client(unit), ctx, may_end=True))

    def work(unit: SystemUnit) -> bool:
        bound = client(unit)
        return _step(bound, ctx, providers.get(bound, name, lock=True), by_admin=by_admin)

    while not await ctx.services.store.write(work):
        pass


def _step(unit: TenantUnit, ctx: RequestContext, provider: Provider, *, by_admin: bool) -> bool:
    """Runs one step. Returns True when the provider is deleted."""
    if not by_admin and providers.granting_identities(unit, provider.id, 1, Role.ADMIN.bit):
        raise Forbidden(_("Only an Admin can delete a provider whose groups granted the Admin role"))
    admins_way_in.check_stays(unit, ctx, provider)
    ended = sessions.end_provider(unit, provider.id, "provider_deleted", ctx.now)
    given = providers.granting_identities(unit, provider.id, STEP + 1)
    is_last = len(given) <= STEP
    if not is_last and provider.disabled_at is None:
        providers.switch(unit, provider, on=False, by_admin=by_admin, now=ctx.now)
        change = {"before": {"on": True}, "after": {"on": False}, "sessions_ended": ended}
        audit.record(unit, ctx, Event.PROVIDER_SWITCHED_OFF, f"provider:{provider.id}", name=provider.name, **change)
        return False
    issuer = Issuer(provider.kind, settings_of(provider).own.subjects_in)
    group_roles.unlink_all(unit, ctx, given[:STEP], issuer)
    if is_last:
        providers.remove(unit, provider, issuer)
        before = {
            "displayName": provider.display_name,
            "on": provider.disabled_at is None,
            "settings": provider.settings,
        }
        members = {"name": provider.name, "before": before, "sessions_ended": ended}
        audit.record(unit, ctx, Event.PROVIDER_DELETED, f"provider:{provider.id}", **members)
    return is_last


if TYPE_CHECKING:
    KindName = str
else:
    KindName = Literal["", *KINDS]

Name = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=63,
        description="Name in URLs, unique within the client.",
        extra_json_schema=matching(PROVIDER_NAME),
    ),
]
DisplayName = Annotated[str, fields.DISPLAY_NAME.meta]
_VOUCH = Annotated[
    bool, Meta(description="System admins only: approves the domains, so they are verified without a DNS record.")
]
_ENABLED = Annotated[
    bool, Meta(description="`false`: the provider is created turned off, and nobody can sign in with it yet.")
]

ProviderChange = optional(
    kinds.Settings,
    "ProviderChange",
    display_name=DisplayName,
    vouch=_VOUCH,
    **{kind.name: kind.body() for kind in KINDS.values()},
)
ProviderChange.MORE_SCHEMA = at_most_one(*KINDS)  # type: ignore[attr-defined]  # read by the description
ProviderBody = msgspec.defstruct(
    "ProviderBody",
    [("name", Name), ("enabled", _ENABLED, True)],
    bases=(ProviderChange,),
    rename="camel",
    frozen=True,
    kw_only=True,
    module=__name__,
    namespace={"MORE_SCHEMA": exactly_one(*KINDS)},
)
_SETTINGS = [(field.name, field.type, field.default) for field in msgspec.structs.fields(kinds.Settings)]
ProviderData = msgspec.defstruct(
    "ProviderData",
    [
        ("id", int),
        ("name", str),
        ("display_name", str),
        ("kind_of", str, msgspec.field(name="kind")),
        ("enabled", bool),
        ("reaches_admins", bool),
        *_SETTINGS,
        ("has_client_secret", bool),
        ("signing_certificates", tuple[CertificateData, ...]),
        ("service_provider", OurselvesData),
        ("start_url", str | UnsetType, UNSET),
        ("created_at", str),
        ("changed_at", str),
    ],
    namespace={"__doc__": "An identity provider."},
    rename="camel",
    frozen=True,
    kw_only=True,
    module=__name__,
)


class FindingData(msgspec.Struct, frozen=True):
    """``level``: ``ok``, ``note``, ``unknown`` (the test can't tell), or ``bad``."""

    level: str
    text: str


class ExaminedData(msgspec.Struct, frozen=True):
    """``works``: whether people can sign in. If it is null, the test can't tell, so try a sign-in."""

    works: bool | None
    findings: tuple[FindingData, ...]


def provider_data(ctx: RequestContext, client: str, provider: Provider) -> msgspec.Struct:
    """Returns the provider as :data:`ProviderData`, without secrets. ``client`` is the identifier of the provider's
    client."""
    kind, settings = KINDS[provider.kind], kinds.settings_of(provider)
    secrets = providers.open_secrets(ctx.services.sealer, provider)
    return ProviderData(
        id=provider.id,
        name=provider.name,
        display_name=provider.display_name,
        kind_of=provider.kind,
        enabled=provider.disabled_at is None,
        reaches_admins=bool(provider.reaches_admins),
        **msgspec.structs.asdict(settings),
        has_client_secret=secrets.client_secret is not None,
        signing_certificates=kind.certificates(settings.own),
        service_provider=kind.registration_values(ctx, client, provider, secrets),
        start_url=kinds.start_address(ctx, client, provider.kind, provider.name) or UNSET,
        created_at=when(provider.created_at),
        changed_at=when(provider.changed_at),
    )
