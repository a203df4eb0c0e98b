"""A new passkey: the options that a browser needs, and the verified credential as a row of its user."""

from __future__ import annotations

from typing import Any, NamedTuple

from manifest_auth import tenants
from manifest_auth.accounts import factor_notices, factors
from manifest_auth.accounts.factors import Kind, passkey_rows
from manifest_auth.accounts.factors.passkey_rows import Passkey
from manifest_auth.accounts.users import User
from manifest_auth.audit import Event
from manifest_auth.errors import Conflict
from manifest_auth.protocols import webauthn
from manifest_auth.protocols.webauthn import Expected, Person
from manifest_auth.services import RequestContext
from manifest_auth.sign_in.passkeys import assertions, relying_party
from manifest_auth.store import SystemUnit
from manifest_auth.tenants import Tenant
from manifest_auth.text import base64url, fields

_HANDLE_BYTES = 64  # the most that is allowed; nothing in them tells who it is (WebAuthn Level 3, section 14.6.1)
_NAMELESS = "Passkey"


class Added(NamedTuple):
    """``recovery_codes``: of a first factor, to be shown once."""

    passkey: Passkey
    recovery_codes: tuple[str, ...]


def options_for(unit: SystemUnit, ctx: RequestContext, tenant: Tenant, user: User, challenge: str) -> dict[str, Any]:
    """What a browser needs to make a passkey of a locked user. Raises Conflict where passkeys are off, or the user has
    as many as one may have."""
    bound, party = unit.of(tenant.id), relying_party.current(unit, ctx.services.settings)
    _check_room(unit, user)
    handle = passkey_rows.handle(bound, user.id, base64url.encode(ctx.services.random.bytes(_HANDLE_BYTES)))
    full_name = f"{user.first_name} {user.last_name}".strip() or user.email
    person = Person(handle, user.email, f"{full_name} ({tenants.shown_name(tenant)})")
    return webauthn.creation(party.id, challenge, person, assertions.descriptors(bound, user.id, party))


def add(
    unit: SystemUnit, ctx: RequestContext, tenant: Tenant, user: User, challenge: str, credential: dict[str, Any],
    name: str, *, but: str = "",
) -> Added:  # fmt: skip
    """Verifies a new passkey of a locked user and stores it; the user's other sessions and all trust end.
    ``challenge``: of the options; ``name``: empty, where the authenticator's own is to be taken; ``but``: the session
    that stays.

    Raises Refused, ValidationError for the name, Conflict where passkeys are off, or no more are allowed, or the
    credential is registered already.
    """
    bound, services = unit.of(tenant.id), ctx.services
    check_name(name)
    party = relying_party.current(unit, services.settings)
    found = webauthn.verify_registration(credential, Expected(challenge, party.id, party.origins))
    _check_room(unit, user)
    if passkey_rows.find(unit, found.credential_id) is not None:  # section 7.1, step 26
        raise Conflict("This passkey is registered already")
    provider = webauthn.provider_of(found.aaguid)
    row = Passkey(
        id=services.random.text(12),
        tenant_id=tenant.id,
        user_id=user.id,
        credential_id=found.credential_id,
        public_key=found.public_key,
        algorithm=found.algorithm,
        counter=found.counter,
        transports=" ".join(found.transports),
        aaguid=found.aaguid,
        name=name or provider or _NAMELESS,
        backup_eligible=int(found.backup_eligible),
        backup_state=int(found.backup_state),
        rp_id=party.id,
        created_at=ctx.now,
        last_used_at=None,
    )
    passkey_rows.add(bound, row)
    relying_party.keep(unit, party.id)
    codes = factors.added(bound, services.random, user.id, user.factors, Kind.PASSKEY, ctx.now, but=but)
    detail = {"passkey": row.id, "name": row.name, "provider": provider or ""}
    factor_notices.tell(bound, ctx, services.mail_queue, user, Event.PASSKEY_ADDED, **detail)
    return Added(row, codes)


def check_name(name: str) -> None:
    """Raises ValidationError for a name that cannot be shown."""
    fields.PASSKEY_NAME.check(name, "name")


def _check_room(unit: SystemUnit, user: User) -> None:
    if passkey_rows.count(unit.of(user.tenant_id), user.id) >= passkey_rows.MOST:
        raise Conflict(f"An account has at most {passkey_rows.MOST} passkeys: remove one first")
