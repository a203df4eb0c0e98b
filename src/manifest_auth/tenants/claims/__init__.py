"""Claims of clients on names that all clients share: email domains, Microsoft directories, provider names.

Owns ``domain_claims``, ``domain_owners``, ``directory_claims``, ``directory_owners`` and ``provider_names``. A claim
takes effect once it is verified, or the operator has vouched for it, and if no other client's claim counts. This
package never decides what a provider can do with a claim.
"""

from manifest_auth.tenants.claims import directories, domains
from manifest_auth.tenants.claims.dns_lookup import DomainRecords, record_of
from manifest_auth.tenants.claims.domains import PENDING, Claim, ClaimOverview, domain_counts, list_all_claims
