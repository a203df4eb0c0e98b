"""Counters of attempts, by account, address and network, and limits on what anonymous callers can write.

Owns ``throttles`` and ``known_origins``; only :class:`Throttle` knows whether limits are on. Never verifies a
credential, and never locks an account permanently.
"""

from manifest_auth.throttle.limits import AnonymousLimits, Bursts, WrongSecrets
from manifest_auth.throttle.throttle import Throttle
