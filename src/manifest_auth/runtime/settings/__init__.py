"""The settings of a process: each with its default, bounds and description, and how they are loaded.

They never change after startup. Never opens the database.
"""

from manifest_auth.runtime.settings.loading import (
    admin_networks,
    adopt,
    check_listener,
    dns_servers,
    is_below,
    load,
    passkey_origins,
    passkey_rp_id,
    proxy_networks,
    public_host,
    public_origin,
    read_variables,
    why_no_passkeys,
)
from manifest_auth.runtime.settings.sources import CONFIG, CREDENTIALS, Given, gather
from manifest_auth.runtime.settings.values import (
    ADDRESSES,
    DAY,
    FILE_FIELDS,
    HOUR,
    MAX_FILE,
    MINUTE,
    PREFIX,
    UNKNOWN,
    Network,
    PrivateTargets,
    Secret,
    Settings,
    SettingsError,
    is_listed,
    networks_of,
    plain_address,
    variable,
)
from manifest_auth.text.canonical import is_loopback_host
