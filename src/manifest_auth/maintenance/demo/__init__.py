"""``manifest-auth demo``: fills an empty store with two clients and two weeks of their work, and prints how to sign in.

Rejects a store with other data, and a public address that other machines can reach. The server's own operations create
everything, with a clock that starts 14 days ago, so the audit trail is genuine. Passwords are random and printed once,
unless ``MANIFEST_DEMO_PASSWORD`` sets all of them.
"""

from manifest_auth.maintenance.demo.filling import NotEmpty, check_allowed, fill, is_filled, welcome, welcome_again
from manifest_auth.maintenance.demo.people import PastClock
