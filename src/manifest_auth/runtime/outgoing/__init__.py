"""Calls to identity providers: the only way out of the server. Owns the connections; hands over answers as bytes.

Addresses come from the settings of clients, so nothing about them is trusted (security bar 57, OWASP's page on
server-side request forgery). Never follows a redirect, keeps no cookie, reads no proxy from the environment, and knows
nothing of what the answers mean.

Every call names the client that it is made for (:class:`Deadline`), and takes from that client's share of look-ups of
names, connections and calls to one host.
"""

from manifest_auth.runtime.outgoing.client import Deadline, Outgoing
from manifest_auth.runtime.outgoing.private_targets import Discreet, Withheld
from manifest_auth.runtime.outgoing.response import Reply, Unreachable, parse
from manifest_auth.runtime.outgoing.ssrf_guard import split
