"""What a client claims beyond itself: e-mail domains. Owns ``domain_claims`` and ``domain_owners``.

A claim is the client's own; it gives nothing across clients until it counts: until a DNS record proved it, or the
operator vouched for it, and no other client's claim counts. Never: what a provider may do with a domain.
"""

from manifest_auth.claims import domain_watch, domains
from manifest_auth.claims.domain_names import record_of
from manifest_auth.claims.domain_records import DomainRecords
from manifest_auth.claims.domain_rows import PENDING, UPGRADE, Claim, domain_counts, owner_of
from manifest_auth.claims.every_claim import EveryClaim, every_claim

__all__ = [
    "PENDING",
    "UPGRADE",
    "Claim",
    "DomainRecords",
    "EveryClaim",
    "domain_counts",
    "domain_watch",
    "domains",
    "every_claim",
    "owner_of",
    "record_of",
]
