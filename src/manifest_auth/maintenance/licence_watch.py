"""The license in on-premise mode: installs a key, and watches its state.

A background job records the time, detects a clock that was set back, and updates the metrics.
"""

from __future__ import annotations

import msgspec

from manifest_auth.audit import Act
from manifest_auth.licence.gate import Overview, install_licence, record_change
from manifest_auth.licence.licence import DAY_MS, Seats
from manifest_auth.services import RequestContext, Services
from manifest_auth.tenants import step_up

_NONE = Seats()


async def watch(services: Services) -> None:
    """Runs every 20 seconds. In hosted mode, it reads nothing."""
    gate = services.licence
    if not gate.is_needed:
        return
    await gate.record_time()
    overview = await gate.overview()
    measure(services, overview)
    if overview.status.is_set_back and not gate.reported_set_back:
        services.log.warning("clock_set_back", reason="the clock is behind the newest time that this server recorded")
    await record_change(services.store, overview.status, services.clock.now_ms())
    gate.reported_set_back = overview.status.is_set_back


def measure(services: Services, overview: Overview) -> None:
    """Updates the metrics. Without a license, no seats are granted and no days are left."""
    if overview.used is None:
        return
    licence = overview.status.licence
    left = (licence.expires_ms - services.clock.now_ms()) / DAY_MS if licence is not None else 0.0
    granted = msgspec.structs.asdict(licence.seats if licence is not None else _NONE)
    used = msgspec.structs.asdict(overview.used)
    state = overview.status.state.value
    services.metrics.license(state, round(left, 3), {kind: (used[kind], granted[kind]) for kind in used})


async def install(ctx: RequestContext, text: str) -> Overview:
    """Installs a license key. Returns the resulting state. Raises LicenseInvalid or ReauthenticationRequired."""
    step_up.check(ctx, Act.LICENCE)
    key, gate = text.strip(), ctx.services.licence
    await ctx.services.store.write(lambda unit: install_licence(unit, gate, ctx, key))
    await gate.status(fresh=True)
    overview = await gate.overview()
    measure(ctx.services, overview)
    return overview
