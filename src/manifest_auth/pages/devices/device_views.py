"""A device that waits, as pages show it."""

from __future__ import annotations

import msgspec

from manifest_auth.pages.account.frame import ROLES, RoleWords
from manifest_auth.sign_in.devices.approval import AskingDevice


class DeviceView(msgspec.Struct, frozen=True):
    """``name``: as the device calls itself, may be empty; ``is_near``: in the same network; ``must_be_near``: else it
    is refused. Times in milliseconds since 1970: of its request, and of the end of the session that it would get."""

    app: str
    name: str
    address: str
    is_near: bool
    must_be_near: bool
    asked_at: int
    ends_at: int
    roles: tuple[RoleWords, ...]


def shown(device: AskingDevice) -> DeviceView:
    return DeviceView(
        app=device.app,
        name=device.name,
        address=device.address,
        is_near=device.same_network,
        must_be_near=device.network_needed,
        asked_at=device.asked_at,
        ends_at=device.ends_at,
        roles=tuple(ROLES[role] for role in device.roles),
    )
