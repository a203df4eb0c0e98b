"""Actions of users and system admins that can require re-authentication."""

from __future__ import annotations

import enum


class Act(enum.IntFlag):
    """Actions that can require re-authentication. ``EMAIL``: change an address, your own or another user's.
    ``PASSWORD`` to ``IDENTITIES``: change your own account. ``PASSWORD``: change it, which requires the current one.
    ``IDENTITIES``: also confirm another user's. ``RANKS``: make someone Admin or User Admin, or create a link for one;
    for system admins, give anyone access. ``DOMAINS``: email domains and Microsoft directories. ``DELETION`` to
    ``INSTALLATION``: for system admins only. ``SERVICE_ACCOUNTS``: give a machine more access, or a new secret.
    ``PAIRING``: accept a device. ``PIN``: set the PIN of your own badge. ``DEVICES``: the client's shared devices.
    ``APPS``: its apps and their secrets."""

    EMAIL = enum.auto()
    PASSWORD = enum.auto()
    FACTORS = enum.auto()
    IDENTITIES = enum.auto()
    OTHERS_FACTORS = enum.auto()
    SESSIONS = enum.auto()
    RANKS = enum.auto()
    OTHERS_PASSWORDS = enum.auto()
    PROVIDERS = enum.auto()
    DOMAINS = enum.auto()
    RULES = enum.auto()
    EXPORT = enum.auto()
    DELETION = enum.auto()
    ADMINS = enum.auto()
    KEYS = enum.auto()
    LICENCE = enum.auto()
    INSTALLATION = enum.auto()
    SERVICE_ACCOUNTS = enum.auto()
    PAIRING = enum.auto()
    PIN = enum.auto()
    DEVICES = enum.auto()
    APPS = enum.auto()


NOTHING = Act(0)
