"""Users of the operating system."""

from __future__ import annotations

import os
import pwd


def user_name(uid: int) -> str:
    """The user's name, or the number where there is none, as in a container."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def who_runs_this() -> dict[str, str]:
    """The user of this process, and the one who became that user by sudo, for the audit trail."""
    users = {"os_user": user_name(os.getuid()), "sudo_user": os.environ.get("SUDO_USER", "")}
    # The environment may hold any bytes.
    return {name: user.encode("utf-8", "replace").decode()[:100] for name, user in users.items() if user}
