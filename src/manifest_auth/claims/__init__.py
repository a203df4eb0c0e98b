"""What clients claim beyond themselves, and whose claim counts: Microsoft directories, and bare names of providers.

Owns ``directory_claims``, ``directory_owners``, ``directory_proofs`` and ``provider_names``. A claim is the client's
own; it gives nothing across clients until it counts. Never: a call to anybody.
"""

from manifest_auth.claims import administrators, directories, directory_flows, names

__all__ = ["administrators", "directories", "directory_flows", "names"]
