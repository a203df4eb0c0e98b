"""Password hashes: Argon2id in worker processes, and imported hashes of other systems.

Never hashes on the event loop; stores nothing, and knows no rules for new passwords.
"""

from manifest_auth.runtime.hashing.hasher import Hasher, HashProof, why_refused
