"""What a provider claims by being saved, for its client: the domains that it names, and the Microsoft
directory that it belongs to.

Claims prove nothing. A system admin, or the operator at the command line, may vouch for them in the same breath; no
save does so by itself.
"""

from __future__ import annotations

from manifest_auth.audit import Origin
from manifest_auth.context import AdminCaller
from manifest_auth.errors import Forbidden
from manifest_auth.providers import Provider
from manifest_auth.providers import directories as provider_directories
from manifest_auth.services import RequestContext, Services
from manifest_auth.store import TenantUnit
from manifest_auth.tenants.claims import domains


def saved(
    unit: TenantUnit, services: Services, who: RequestContext | Origin, provider: Provider, *, vouch: bool
) -> None:
    """Raises ValidationError for what nobody can claim, Conflict for what cannot be vouched for, and Forbidden where
    anybody but the operator would vouch."""
    if vouch and isinstance(who, RequestContext) and not isinstance(who.caller, AdminCaller):
        raise Forbidden("Only a system admin vouches")
    named = list(dict.fromkeys(provider.rules.domains))
    domains.claim_all(unit, who, named, services.random)
    if vouch:
        for number, domain in enumerate(named):
            reason = f"saved with the provider {provider.name}"
            domains.vouch(unit, who, domain, reason, services.random, f"domains[{number}]")
    provider_directories.saved(unit, who, services.microsoft.clouds, provider.rules, vouched=vouch)
