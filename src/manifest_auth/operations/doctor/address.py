"""``doctor``: checks whether the public address is safe, and which server answers there."""

from __future__ import annotations

import msgspec

from manifest_auth.audit import INSTALLATION
from manifest_auth.runtime.outgoing import Outgoing, Reply, Unreachable
from manifest_auth.runtime.settings import Settings, admin_networks, is_loopback_host, proxy_networks

_ALIVE = {"success": True, "data": {"status": "alive"}}
_LEAST_PREFIX = {4: 8, 6: 16}  # a single organisation may have 10.0.0.0/8, or an IPv6 /16 or smaller
_NO_SERVER = (502, 503, 504)


async def address(settings: Settings) -> list[tuple[str, str]]:
    """Levels and texts of the findings. An https address is called once, with the time limit of calls to providers."""
    url = settings.public_url
    if settings.secure_cookies:
        found = [await _reachable(settings)]
        if not settings.trusted_proxies:
            advice = "name the proxy's address in it, 127.0.0.1 for one on this machine"
            found.append(("bad", "proxy: MANIFEST_TRUSTED_PROXIES is empty, and https ends at a proxy: every caller "
                                 "seems to come from its address: throttles count all as one, and every device seems "
                                 f"to be in the network of its user; {advice}"))  # fmt: skip
        return [*found, *_too_wide(settings), *_proxy_among_admins(settings)]
    if settings.is_loopback and not is_loopback_host(settings.host):
        return [("bad", f"public address: {url} is for this machine, and others reach the listener on {settings.host}: "
                        "/metrics and introspection are open to them. Set MANIFEST_PUBLIC_URL to https://…; serve "
                        "starts only with MANIFEST_INSECURE_PUBLIC_URL=allowed")]  # fmt: skip
    if settings.is_loopback:
        return [("note", f"public address: {url} reaches this machine only")]
    return [("bad", f"public address: {url} is plain http; tokens and cookies can be read on the way. Put TLS in front "
                    "and set MANIFEST_PUBLIC_URL to https://…")]  # fmt: skip


def _too_wide(settings: Settings) -> list[tuple[str, str]]:
    """Findings for proxy networks that are larger than any single organisation's."""
    wide = [str(one) for one in proxy_networks(settings) if one.prefixlen < _LEAST_PREFIX[one.version]]
    if not wide:
        return []
    return [("bad", f"proxy: MANIFEST_TRUSTED_PROXIES holds {', '.join(wide)}: callers from there can forge their "
                    "address, and throttles have no effect. Name your proxies")]  # fmt: skip


def _proxy_among_admins(settings: Settings) -> list[tuple[str, str]]:
    """A finding for proxies that are also admin addresses: a request without X-Forwarded-For counts as from the
    proxy."""
    proxies, admins = proxy_networks(settings), admin_networks(settings)
    if not any(one.version == other.version and one.overlaps(other) for one in proxies for other in admins):
        return []
    return [("note", "proxy: MANIFEST_ADMIN_ADDRESSES holds addresses of MANIFEST_TRUSTED_PROXIES; what one sends "
                     "without X-Forwarded-For passes. Leave them out")]  # fmt: skip


async def _reachable(settings: Settings) -> tuple[str, str]:
    """Calls the public address. A failure is only a note: the server may not run yet, and not every network routes back
    to itself."""
    name = f"public address: {settings.public_url}"
    # The operator's own address may be private.
    outgoing = Outgoing(msgspec.structs.replace(settings, outgoing_private="on"))
    try:
        reply = await outgoing.get(f"{settings.public_url}/healthz", deadline=outgoing.deadline(INSTALLATION))
    except Unreachable as error:
        if "TLS: " in str(error):
            return "bad", f"{name}: browsers will refuse it ({error}); fix the proxy's certificate"
        return "note", f"{name} is not reached from here ({error}); check name, firewall and proxy"
    finally:
        await outgoing.close()
    if _is_alive(reply):
        return "ok", f"{name} leads to a running server"
    if reply.status in _NO_SERVER:
        return (
            "note",
            f"{name}: its proxy reaches no server (status {reply.status}); start it, or check the proxy's target",
        )
    return "bad", f"{name}: something else answers there (status {reply.status}); check the proxy's target"


def _is_alive(reply: Reply) -> bool:
    try:
        return reply.status == 200 and reply.json() == _ALIVE
    except ValueError:
        return False
