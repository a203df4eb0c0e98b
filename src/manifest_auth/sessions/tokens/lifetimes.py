"""For how long what a key signed may be valid, which a rotation must know.

The store keeps the longest time that any server has given: the process that rotates may have other settings than those
that sign.
"""

from __future__ import annotations

import json

from manifest_auth.runtime.settings import DAY, HOUR, Settings
from manifest_auth.sessions.tokens.key import Purpose
from manifest_auth.store import SystemUnit, installation_values

_NAME = "key_lifetimes"


def _by(settings: Settings) -> dict[str, int]:
    """Seconds by purpose, as these settings say."""
    return {
        Purpose.ACCESS.value: settings.access_token_ttl,
        Purpose.REFRESH.value: settings.refresh_token_ttl,
        Purpose.ADMIN_ACCESS.value: settings.admin_access_token_ttl,
        Purpose.ADMIN_REFRESH.value: settings.admin_session_ttl,
        Purpose.SERVICE.value: settings.service_token_ttl,
        Purpose.FORMS.value: DAY,
        Purpose.PAGE_STATE.value: HOUR,
    }


def _kept(unit: SystemUnit) -> dict[str, int]:
    found: dict[str, int] = json.loads(installation_values.get(unit, _NAME) or "{}")
    return found


def longest(unit: SystemUnit, settings: Settings) -> dict[str, int]:
    """Seconds by purpose; those of ``settings`` where no server has run yet."""
    return _by(settings) | _kept(unit)


def keep(unit: SystemUnit, settings: Settings) -> bool:
    """Keeps what is longer in the settings of a process that signs. True for the first one of this store."""
    kept = _kept(unit)
    now = {purpose: max(seconds, kept.get(purpose, 0)) for purpose, seconds in _by(settings).items()}
    if now != kept:
        installation_values.put(unit, _NAME, json.dumps(now))
    return not kept
