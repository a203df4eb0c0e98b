"""Devices that belong to a client and that people share, and the codes with which they are enrolled.

Owns ``enrolled_devices`` and ``device_enrolments``. Never opens a session.
"""

from manifest_auth.accounts.shared_devices.device_rows import LISTING, SharedDevice
from manifest_auth.accounts.shared_devices.enrolments import Enrolment, NewEnrolment
from manifest_auth.accounts.shared_devices.management import (
    begin_enrolment,
    drop_enrolment,
    enrol,
    list_enrolments,
    remove,
)
