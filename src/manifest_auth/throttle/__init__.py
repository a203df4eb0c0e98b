"""Counters of attempts, by account, address and network, and what anonymous callers may leave in the store.

Owns ``throttles`` and ``known_origins``. Never judges a credential; locks no one out for good.
"""

from manifest_auth.throttle.anonymous_limits import AnonymousLimits
from manifest_auth.throttle.throttle import Throttle

__all__ = ["AnonymousLimits", "Throttle"]
