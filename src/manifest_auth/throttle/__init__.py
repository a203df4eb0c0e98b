"""Counters of attempts, by account, address and network, and what anonymous callers may leave in the store.

Owns ``throttles`` and ``known_origins``; :class:`Throttle` alone knows whether limits are on. Never judges a
credential, and never locks an account for good.
"""

from manifest_auth.throttle.anonymous_limits import AnonymousLimits
from manifest_auth.throttle.throttle import Throttle
