"""The settings of a process: every knob with its default and its sentence, and how they are read."""

from manifest_auth.settings.hosts import is_loopback_host
from manifest_auth.settings.loading import admin_networks, load, proxy_networks
from manifest_auth.settings.values import (
    DAY,
    HOUR,
    MAX_FILE,
    MINUTE,
    PREFIX,
    Seconds,
    Secret,
    Settings,
    SettingsError,
    variable,
)

__all__ = [
    "DAY",
    "HOUR",
    "MAX_FILE",
    "MINUTE",
    "PREFIX",
    "Seconds",
    "Secret",
    "Settings",
    "SettingsError",
    "admin_networks",
    "is_loopback_host",
    "load",
    "proxy_networks",
    "variable",
]
