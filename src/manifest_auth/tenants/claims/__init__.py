"""What clients claim beyond themselves: e-mail domains, Microsoft directories, bare names of providers.

Owns ``domain_claims``, ``domain_owners``, ``directory_claims``, ``directory_owners`` and ``provider_names``. A claim is
the client's own; it gives nothing across clients until it counts: until it was proved, or the operator vouched for it,
and no other client's claim counts. Never says what a provider may do with a claim.
"""

from manifest_auth.tenants.claims import administrators, directories, domains, names
from manifest_auth.tenants.claims.domain_names import record_of
from manifest_auth.tenants.claims.domain_records import DomainRecords
from manifest_auth.tenants.claims.domain_rows import PENDING, UPGRADE, Claim, domain_counts
from manifest_auth.tenants.claims.every_claim import EveryClaim, every_claim
