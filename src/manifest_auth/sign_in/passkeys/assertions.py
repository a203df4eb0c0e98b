"""Answers with a passkey: looked up, verified, and accepted once with their counter.

The one place that judges a passkey, for a sign-in with it alone, for the second step, and for a new proof of a session.
"""

from __future__ import annotations

from typing import Any

from manifest_auth.accounts import factor_notices
from manifest_auth.accounts.factors import passkey_rows
from manifest_auth.accounts.factors.passkey_rows import Passkey
from manifest_auth.accounts.users import User
from manifest_auth.audit import Event
from manifest_auth.protocols import webauthn
from manifest_auth.protocols.webauthn import Asserted, Descriptor, Expected, Known, WebauthnRefused
from manifest_auth.services import RequestContext
from manifest_auth.sign_in.passkeys import relying_party
from manifest_auth.sign_in.passkeys.relying_party import RelyingParty
from manifest_auth.store import SystemUnit, TenantUnit


def options_for(unit: SystemUnit, ctx: RequestContext, user: User, challenge: str) -> dict[str, Any]:
    """What a browser needs to answer with one of the user's passkeys. Raises Conflict where passkeys are off."""
    party = relying_party.current(unit, ctx.services.settings)
    return webauthn.request(party.id, challenge, descriptors(unit.of(user.tenant_id), user.id, party))


def descriptors(unit: TenantUnit, user_id: int, party: RelyingParty) -> list[Descriptor]:
    """The user's passkeys, as a browser is told of them; without those of a former RP ID."""
    rows = passkey_rows.list_all(unit, user_id)
    return [Descriptor(row.credential_id, tuple(row.transports.split())) for row in rows if row.rp_id == party.id]


def verify(
    unit: TenantUnit, party: RelyingParty, row: Passkey, credential: dict[str, Any], challenge: str, *, named: bool
) -> Asserted:
    """Verifies an answer, all but its counter. ``named``: the browser was told whose passkeys to ask for. Raises
    Refused."""
    handle = passkey_rows.handle_of(unit, row.user_id)
    if handle is None or row.rp_id != party.id:
        raise WebauthnRefused("a passkey of a former RP ID")
    known = Known(row.public_key, handle, not named, bool(row.backup_eligible))
    return webauthn.verify_assertion(credential, Expected(challenge, party.id, party.origins), known)


def accept(unit: TenantUnit, ctx: RequestContext, user: User, row: Passkey, asserted: Asserted) -> bool:
    """Stores counter and backup state of a verified answer of a locked user. False where the counter did not go on:
    that is recorded, and the user is told; the passkey is kept, since a race looks the same."""
    if passkey_rows.use(unit, row, asserted.counter, int(asserted.backup_state), ctx.now):
        return True
    if passkey_rows.get(unit, user.id, row.id) is not None:
        queue = ctx.services.mail_queue
        factor_notices.tell(unit, ctx, queue, user, Event.PASSKEY_COUNTER_REGRESSED, passkey=row.id)
    return False


def judge(unit: SystemUnit, ctx: RequestContext, user: User, challenge: str, credential: dict[str, Any]) -> str:
    """Why an answer of a locked user, who was told of the own passkeys, is wrong, for the log; empty where it is right,
    and then it is accepted. The library is loaded, see :func:`.webauthn.load`."""
    bound = unit.of(user.tenant_id)
    try:
        party = relying_party.current(unit, ctx.services.settings)
        row = passkey_rows.find(unit, webauthn.credential_id_of(credential))
        if row is None or (row.tenant_id, row.user_id) != (user.tenant_id, user.id):
            return "passkey: not one of the user's"
        asserted = verify(bound, party, row, credential, challenge, named=True)
    except WebauthnRefused as refused:
        return f"passkey: {refused}"
    return "" if accept(bound, ctx, user, row, asserted) else "passkey: its counter did not go on"
