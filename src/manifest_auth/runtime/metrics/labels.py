"""The words that labels may hold. Each list is closed, so nobody can fill the memory by what they send, and every
series is there from the start: of one that appears with its first event, Prometheus sees no increase."""

from __future__ import annotations

from typing import Literal

#: Ways in, beside those of providers, which have a word for each kind. ``code``: exchanges of one-time codes.
Method = Literal["password", "link", "code", "admin"]
#: How an attempt ended, see docs/operations.md.
Result = Literal["ok", "code", "linked", "tried", "failed", "refused", "throttled", "second_factor", "busy"]
#: Where the throttle stands, as its counters name it; and which of its three counters held somebody back.
EntryPoint = Literal["client", "forgot", "link", "change", "admin", "admin-own", "setup", "sso", "entra"]
Limit = Literal["address", "account", "origin"]
#: Units of work of the store, and key reads.
Unit = Literal["write", "read", "look_up"]
Failure = Literal["busy", "unavailable"]
#: What a process remembers on the path of a request.
Cache = Literal["access_tokens", "principals", "discovery", "provider_keys", "directory_keys", "entra", "documents"]
CacheResult = Literal["hit", "miss", "stale"]
#: What a call to a provider is for, and how it went.
Call = Literal["discovery", "keys", "token", "userinfo", "metadata", "graph", "dataverse", "other"]
CallResult = Literal["ok", "refused", "unreachable"]
#: Rows that are dropped once their time is over.
Swept = Literal[
    "sessions", "admin_sessions", "invitations", "origins", "throttles", "flows", "directory_flows", "codes",
    "assertions", "refused_tokens", "files", "audit_events", "email_changes", "domain_claims",
]  # fmt: skip
LicenceState = Literal["missing", "valid", "grace", "expired"]
