"""Calls to identity providers, the only outgoing HTTP calls of the server.

Owns the connections; returns bytes.

Addresses come from the settings of clients, so they are not trusted (OWASP, server-side request forgery). Never follows
a redirect, keeps no cookie, reads no proxy from the environment, and does not interpret the answers.

Every call names its client (:class:`Deadline`) and uses that client's share of DNS lookups, connections and calls to
one host.
"""

from manifest_auth.runtime.outgoing.client import (
    Deadline,
    LimitedOutgoing,
    NoPublicAddress,
    NotPublic,
    Outgoing,
    Reply,
    Unreachable,
    parse,
)
from manifest_auth.runtime.outgoing.ssrf_guard import split
