"""The values of labels.

Each list is closed, so callers cannot fill the memory with new values, and every series exists from the start: for a
series that appears with its first event, Prometheus sees no increase.
"""

from __future__ import annotations

from typing import Literal

#: Ways to sign in, in addition to the kinds of providers. ``code``: exchanges of one-time codes.
Method = Literal["password", "passkey", "link", "code", "device", "badge", "admin"]
#: Results of an attempt; docs/operations/watch.md explains them.
Result = Literal["ok", "code", "linked", "tried", "failed", "refused", "throttled", "second_factor", "busy"]
#: Entry points that the throttle limits, as its counters name them; and which of its three counters refused an attempt.
EntryPoint = Literal[
    "client",
    "forgot",
    "link",
    "change",
    "admin",
    "admin-own",
    "setup",
    "sso",
    "entra",
    "second_factor",
    "passkey",
    "machine",
    "badge",
    "enrolment",
    "device",
]
Limit = Literal["address", "account", "origin"]
#: Units of work of the store, and key reads.
Unit = Literal["write", "read", "look_up"]
Failure = Literal["busy", "unavailable"]
#: Kinds of announcements between processes; the key of ``installation`` names what changed.
Announced = Literal["session", "user", "tenant", "installation"]
#: Why a process dropped all that it remembered: its first beat; the last good one is too old; ``nodes`` had no row of
#: the process; too many announcements at once; transactions with lower numbers than before, so another server.
Reset = Literal["start", "gap", "row", "many", "server"]
#: Caches of a process that requests use.
Cache = Literal["access_tokens", "principals", "discovery", "provider_keys", "directory_keys", "entra", "documents"]
CacheResult = Literal["hit", "miss", "stale"]
#: Purposes of calls to a provider, and their results.
Call = Literal["discovery", "keys", "token", "userinfo", "metadata", "graph", "dataverse", "other"]
CallResult = Literal["ok", "refused", "unreachable"]
#: Results of an attempt to send an e-mail. ``refused``: for good.
MailResult = Literal["ok", "failed", "refused"]
#: Kinds of rows that are deleted after their expiry.
Swept = Literal[
    "sessions", "admin_sessions", "invitations", "origins", "throttles", "flows", "directory_flows", "codes",
    "assertions", "refused_tokens", "challenges", "passkey_challenges", "trusted_browsers",
    "files", "uploads", "audit_events", "email_changes", "domain_claims", "service_secrets",
    "used_assertions", "announcements", "badges", "enrolments", "enrolled_devices", "device_grants", "pairings",
]  # fmt: skip
LicenceState = Literal["missing", "valid", "grace", "expired"]
