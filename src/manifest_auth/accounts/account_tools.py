"""The services that account management uses."""

from __future__ import annotations

from typing import NamedTuple

from manifest_auth.accounts.mail_queue import MailQueue
from manifest_auth.licence import SeatCounter
from manifest_auth.runtime.clock import Random
from manifest_auth.runtime.settings import Settings
from manifest_auth.throttle import Throttle


class AccountTools(NamedTuple):
    """``seats``: counts the licence's seats."""

    settings: Settings
    random: Random
    seats: SeatCounter
    mail_queue: MailQueue
    throttle: Throttle
