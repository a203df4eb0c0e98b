"""``doctor``: checks the public address, the clock, claims, the license, passkeys, and the running server."""

from __future__ import annotations

from typing import NamedTuple

import msgspec
from sqlalchemy import bindparam, func, select

from manifest_auth.accounts.provisioning import connections
from manifest_auth.audit import INSTALLATION, NEWEST_FIRST, EventFilter, page_across
from manifest_auth.licence import Gate, State, free, overdrawn, warning
from manifest_auth.runtime.clock import Clock
from manifest_auth.runtime.outgoing import Outgoing
from manifest_auth.runtime.outgoing_guard import Reply, Unreachable
from manifest_auth.runtime.running import differing
from manifest_auth.runtime.settings import Settings, SettingsError, admin_networks, proxy_networks
from manifest_auth.sign_in.passkeys import ceremonies
from manifest_auth.store import Store, global_
from manifest_auth.store.tables import nodes
from manifest_auth.tenants.claims import ClaimOverview, list_all_claims
from manifest_auth.text.canonical import when


class Finding(NamedTuple):
    """A finding. ``level`` is ``ok``, ``note``, or ``bad``."""

    level: str
    text: str

    @property
    def area(self) -> str:
        """The subject in a word or two, for pages."""
        return _capitalized(self.text.partition(": ")[0])

    @property
    def advice(self) -> str:
        """The rest of the text."""
        return _capitalized(self.text.partition(": ")[2])


def _capitalized(text: str) -> str:
    """Capitalizes the text, unless it begins with something other than a word."""
    first = text.partition(" ")[0]
    return text[:1].upper() + text[1:] if first.isalpha() else text


def ok(text: str) -> Finding:
    """Return a finding that everything is fine."""
    return Finding("ok", text)


def note(text: str) -> Finding:
    """Return a finding for something that could be better."""
    return Finding("note", text)


def bad(text: str) -> Finding:
    """Return a finding for something that breaks the server or puts it at risk."""
    return Finding("bad", text)


# ``doctor``: checks whether the public address is safe, and which server responds there.


_ALIVE = {"success": True, "data": {"status": "alive"}}
_LEAST_PREFIX = {4: 8, 6: 16}  # a single organization can have 10.0.0.0/8, or an IPv6 /16 or smaller
_NO_SERVER = (502, 503, 504)


async def address(settings: Settings) -> list[Finding]:
    """Returns levels and texts of the findings. Calls an HTTPS address once, with the time limit of calls to
    providers."""
    url = settings.public_url
    if settings.secure_cookies:
        found = [await _reachable(settings)]
        if not settings.trusted_proxies:
            advice = "add the proxy's address, for example 127.0.0.1 for a proxy on this machine"
            found.append(
                bad(
                    "proxy: MANIFEST_TRUSTED_PROXIES is empty, but HTTPS ends at a proxy. All "
                    "requests seem to come from the proxy, so they share one rate limit, and "
                    f"every device seems to be on the network of its user; {advice}"
                )
            )
        return [*found, *_too_wide(settings), *_proxy_among_admins(settings)]
    if settings.is_loopback and not (settings.is_local or settings.is_local_container):
        return [
            bad(
                f"public address: {url} is a loopback address, but other machines can reach the "
                f"listener on {settings.host}. Set MANIFEST_PUBLIC_URL to https://…; the server "
                "starts only with MANIFEST_INSECURE_PUBLIC_URL=allowed"
            )
        ]
    if settings.is_loopback:
        return [note(f"public address: {url} works only on this machine")]
    return [
        bad(
            f"public address: {url} is plain HTTP, so tokens and cookies can be intercepted. Put "
            "TLS in front, and set MANIFEST_PUBLIC_URL to https://…"
        )
    ]


def _too_wide(settings: Settings) -> list[Finding]:
    """Returns findings for proxy networks that are too large for any single organization."""
    wide = [str(one) for one in proxy_networks(settings) if one.prefixlen < _LEAST_PREFIX[one.version]]
    if not wide:
        return []
    return [
        bad(
            f"proxy: MANIFEST_TRUSTED_PROXIES contains {', '.join(wide)}. Callers on these "
            "networks can forge their address and bypass rate limits. List only your proxies"
        )
    ]


def _proxy_among_admins(settings: Settings) -> list[Finding]:
    """Returns a finding for proxies that are also admin addresses. A request without X-Forwarded-For counts as coming
    from the proxy."""
    proxies, admins = proxy_networks(settings), admin_networks(settings)
    if not any(one.version == other.version and one.overlaps(other) for one in proxies for other in admins):
        return []
    return [
        note(
            "proxy: MANIFEST_ADMIN_ADDRESSES contains addresses of MANIFEST_TRUSTED_PROXIES, so "
            "requests that they send without X-Forwarded-For are allowed. Remove them"
        )
    ]


async def _reachable(settings: Settings) -> Finding:
    """Calls the public address. A failure is only a note, because the server might not run yet, and not every network
    routes back to itself."""
    name = f"public address: {settings.public_url}"
    # The operator's own address can be private.
    outgoing = Outgoing(msgspec.structs.replace(settings, outgoing_private="on"))
    try:
        reply = await outgoing.get(f"{settings.public_url}/healthz", deadline=outgoing.deadline(INSTALLATION))
    except Unreachable as error:
        if "TLS: " in str(error):
            return bad(f"{name}: browsers reject it ({error}); fix the proxy's certificate")
        return note(f"{name} can't be reached from here ({error}); check the name, firewall, and proxy")
    finally:
        await outgoing.close()
    if _is_alive(reply):
        return ok(f"{name} reaches a running server")
    if reply.status in _NO_SERVER:
        return note(
            f"{name}: the proxy can't reach a server (status {reply.status}); start the server, "
            "or check the proxy's target"
        )
    return bad(f"{name}: a different server responds there (status {reply.status}); check the proxy's target")


def _is_alive(reply: Reply) -> bool:
    try:
        return reply.status == 200 and reply.json() == _ALIVE
    except ValueError:
        return False


# ``doctor``: finds claims on domains and directories that the operator has to decide about.


_MOST = 20  # lines


async def claim_findings(settings: Settings, store: Store) -> list[Finding]:
    """Returns levels and texts of the findings."""
    every = await store.read(lambda unit: list(list_all_claims(unit, to_settle=True)))
    found = [claim for claim in every if settings.domain_proof == "vouch" or _is_the_operators(claim)]
    if not found:
        return [ok("claims: none need a decision")]
    results = [note(f"claims: {_sentence(claim)}") for claim in found[:_MOST]]
    left = len(found) - _MOST
    return [*results, note(f"claims: {left} more; run manifest-auth claims list --open")] if left > 0 else results


def _is_the_operators(claim: ClaimOverview) -> bool:
    """Whether the operator, not the client, must act."""
    return claim.contested == 1 or claim.claimed_by == "system"


def _sentence(claim: ClaimOverview) -> str:
    name, what = f"{claim.kind} {claim.what} of client {claim.client}", f"{claim.what} --client {claim.client}"
    if claim.contested:
        release = f"manifest-auth {claim.kind} release {what}"
        return f"{name} is {claim.state}, but another client also claims it. Release the wrong claim: {release}"
    keep = f"manifest-auth {claim.kind} vouch {what} --reason …"
    return f"{name} isn't verified. If you know that the client owns it, approve it: {keep}"


_DAY_MS = 86_400_000


async def scim_findings(store: Store, now: int) -> list[Finding]:
    """Returns a finding for each SCIM connection. ``now`` is in milliseconds."""
    return [_scim(one, now) for one in await store.look_up_all(connections.USED)]


def _scim(one: connections.Used, now: int) -> Finding:
    called = "never" if one.last_call_at is None else when(one.last_call_at)
    told = f"scim: connection {one.name} of client {one.client}: last request {called}, {one.failures} rejected"
    told += f" (the last one: {one.last_failure})" if one.last_failure else ""
    days = ((one.ends_at or 0) - now) // _DAY_MS
    if days < 0 and one.service_id is None:
        return bad(f"{told}; it has no valid token, so create one on the page /console/scim/{one.name}")
    if days < _SOON_DAYS and one.service_id is None:
        return note(f"{told}; its token expires within {days + 1} days, so replace it")
    if now - (one.last_call_at or 0) > _QUIET_DAYS * _DAY_MS:
        return note(f"{told}; check the provisioning at the identity provider")
    return ok(told)


_SOON_DAYS, _QUIET_DAYS = 30, 7

# ``doctor``: compares the clock with fixed dates, PostgreSQL's clock, other nodes' clocks, and the audit trail.


_EARLIEST_MS = 1_767_225_600_000  # 2026-01-01: a clock before this date is wrong
_LATEST_MS = 2_398_377_600_000  # 2046-01-01: a clock after this date is wrong too
_APART_MS = 30_000  # a larger difference can't be network delay or a busy machine
_ALIVE_MS = 60_000
_SET = "correct it, preferably with NTP"
_N = nodes.c
_SKEWED = global_(
    select(_N.host, _N.pid, _N.skew_ms)
    .where(func.abs(_N.skew_ms) > _APART_MS, _N.seen_at > bindparam("since"))
    .order_by(_N.host, _N.pid)
)


def plausible(now: int) -> Finding:
    """Returns the level and text of the comparison with fixed dates. ``now`` is the clock's time in milliseconds."""
    if now < _EARLIEST_MS:
        return bad(f"clock: it is set to the past, so tokens are rejected; {_SET}")
    if now > _LATEST_MS:
        return bad(f"clock: it is set to the far future, so everything has expired; {_SET}")
    return ok("clock: plausible")


async def compared(store: Store, now: int) -> list[Finding]:
    """Returns the level and text of the comparison with the store; none if all agree."""
    database_clock = await store.server_clock()
    if database_clock is not None and abs(now - database_clock) > _APART_MS:
        return [bad(f"clock: it is {_apart(now - database_clock)}; correct both, preferably with NTP")]
    since = 0 if database_clock is None else database_clock - _ALIVE_MS
    if skewed := await store.read(lambda unit: unit.all(_SKEWED, since=since)):
        told = (f"node {host} (process {pid}) is {_apart(skew)}" for host, pid, skew in skewed)
        return [bad(f"clock: {text}; {_SET}") for text in told]
    newest, _ = await page_across(store, EventFilter(order=NEWEST_FIRST), 1)
    if newest and newest[0].link.at > now + _APART_MS:
        at = when(newest[0].link.at)
        return [bad(f"clock: it is behind {at}, the time of the newest event in the audit trail; {_SET}")]
    return []


def _apart(skew_ms: int) -> str:
    return f"{abs(skew_ms) // 1000} s {'behind' if skew_ms < 0 else 'ahead of'} PostgreSQL's"


# ``doctor``: the state of an on-premise license and its seats.


_INSTALL = "to install a valid one, run manifest-auth license install"
_BEHIND = (
    "correct it, preferably with NTP; if it is correct, ask for a license that resets the clock (docs/on-premise.md)"
)
_LEVELS = {State.VALID: "ok", State.GRACE: "note", State.EXPIRED: "bad", State.MISSING: "bad"}


async def licence_findings(settings: Settings, store: Store) -> list[Finding]:
    """Returns levels and texts of the findings; none in hosted mode."""
    clock = Clock()
    try:
        gate = Gate(settings, store, clock)
    except SettingsError as error:
        return [bad(f"license: {error}")]
    if not gate.is_needed:
        return []
    found = await gate.overview()
    status, current, used = found.status, found.status.licence, found.used
    if current is None or used is None:
        return [bad(f"license: none is installed, so no user can sign in; {_INSTALL}")]
    text = warning(status, clock.now_ms())
    level = "note" if text and status.state is State.VALID else _LEVELS[status.state]
    results = [Finding(level, f"{text.replace(' ', ': ', 1)}; {_INSTALL}" if text else f"license: {current.id}, valid")]
    if over := overdrawn(current.seats, used):
        results.append(note(f"seats: more are in use than granted ({', '.join(over)}), so no users can be added"))
    elif not any(msgspec.structs.astuple(free(current.seats, used))):
        results.append(note("seats: all are in use, so no users can be added"))
    if status.is_set_back:
        results.append(bad(f"clock: it is behind the latest time recorded here; {_BEHIND}"))
    return results


# ``doctor``: checks whether passkeys work at the public address, and whether the address invalidates existing ones.


async def passkey_findings(settings: Settings, store: Store) -> list[Finding]:
    """Returns levels and texts of the findings."""
    now = await ceremonies.look_at_passkeys(store, settings)
    found = []
    if now.void:
        made_for = now.kept if now.rp_id != now.kept else "a different name"
        found.append(
            bad(
                f"passkeys: {now.void} were created for {made_for} and don't work at "
                f"{settings.public_url}. Restore MANIFEST_PUBLIC_URL, or ask their owners to add "
                "new ones"
            )
        )
    if now.why_off:
        return [*found, note(f"passkeys: off, because {now.why_off}")]
    if settings.passkey_rp_id and settings.passkey_rp_id != now.rp_id:
        found.append(
            note(
                "passkeys: MANIFEST_PASSKEY_RP_ID is ignored; the first passkey was created for "
                f"{now.kept}, and all passkeys belong to that name"
            )
        )
    return found or [ok(f"passkeys: they belong to {now.rp_id}")]


# ``doctor``: checks whether the running server has the same settings.


def running_findings(settings: Settings) -> list[Finding]:
    """Returns levels and texts of the findings; none if no server runs with this data folder."""
    try:
        found = differing(settings)
    except SettingsError:  # the secret key, which has its own finding
        return []
    names = sorted({name for each in found for name in each})
    if names:
        return [
            note(
                f"settings: the running server has different values for {', '.join(names)}; "
                "restart it, or run this command with its settings"
            )
        ]
    return [ok("settings: same as those of the running server")] if found else []
