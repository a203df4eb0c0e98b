"""Choice of the recorder of spans, which loads OpenTelemetry only if tracing is on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from manifest_auth.runtime.clock import Random
from manifest_auth.runtime.metrics import Metrics
from manifest_auth.runtime.settings import Settings, SettingsError, variable

if TYPE_CHECKING:
    from manifest_auth.runtime.trace_export import Recorder


def open_recorder(settings: Settings, metrics: Metrics, random: Random) -> Recorder | None:
    """Returns the recorder of this process, not started; None if tracing is off. Raises SettingsError."""
    if settings.tracing == "off":
        return None
    try:
        from manifest_auth.runtime.trace_export import Recorder
    except ImportError:
        text = f"{variable('tracing')}: on requires an extra: pip install 'manifest-auth[otel]'"
        raise SettingsError(text) from None
    try:
        return Recorder(metrics, random)
    except (ValueError, RuntimeError) as error:
        raise SettingsError(f"{variable('tracing')}: {error}") from None
