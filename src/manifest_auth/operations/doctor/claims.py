"""``doctor``: claims on domains and directories that the operator has to decide about."""

from __future__ import annotations

from manifest_auth.runtime.settings import Settings
from manifest_auth.store import Store
from manifest_auth.tenants.claims import ClaimOverview, list_all_claims

_MOST = 20  # lines


async def claim_findings(settings: Settings, store: Store) -> list[tuple[str, str]]:
    """Levels and texts of the findings."""
    every = await store.read(lambda unit: list(list_all_claims(unit, to_settle=True)))
    found = [claim for claim in every if settings.domain_proof == "vouch" or _is_the_operators(claim)]
    if not found:
        return [("ok", "claims: none waits for the operator")]
    results = [("note", f"claims: {_sentence(claim)}") for claim in found[:_MOST]]
    left = len(found) - _MOST
    return [*results, ("note", f"claims: {left} more; see manifest-auth claims list --open")] if left > 0 else results


def _is_the_operators(claim: ClaimOverview) -> bool:
    """Whether the operator, not the client, has to act."""
    return claim.contested == 1 or claim.claimed_by == "system"


def _sentence(claim: ClaimOverview) -> str:
    name, what = f"{claim.kind} {claim.what} of client {claim.client}", f"{claim.what} --client {claim.client}"
    if claim.contested:
        release = f"manifest-auth {claim.kind} release {what}"
        return f"{name} is {claim.state}, and another client claims it too; the wrong one of them goes with: {release}"
    keep = f"manifest-auth {claim.kind} vouch {what} --reason …"
    return f"{name} is not proved, so it does not count; if you know that it belongs to them: {keep}"
