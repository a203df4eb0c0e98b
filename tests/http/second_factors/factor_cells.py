"""The cells of second factors: every policy, role, factor, and sign-in method, with the expected result.

The expected results are listed here on their own, and not taken from the code.
"""

from __future__ import annotations

from typing import Any, NamedTuple

POLICIES: dict[str, Any] = {
    "off": {"policy": "off"},
    "optional": {"policy": "optional"},
    "required": {"policy": "required", "graceDays": 7},
    "roles": {"policy": "roles", "roles": ["Admin", "Operator"], "graceDays": 7},
}
ROLES = ("Admin", "Operator", "Viewer")
#: Bits of ``users.factors``: an authenticator app is 1, a passkey is 2. A trusted browser implies an app.
ENROLLED = {"none": 0, "totp": 1, "passkey": 2, "both": 3, "trusted": 1}
FIELDS: dict[int, list[str]] = {0: [], 1: ["otp"], 2: ["passkey"], 3: ["otp", "passkey"]}


class Cell(NamedTuple):
    policy: str
    role: str
    enrolled: str
    way: str

    @property
    def expected(self) -> str:
        """``in``, ``in, due`` if an enrollment is in its grace period, ``refused``, or the members that can
        continue."""
        if self.way in ("provider", "exchange"):  # the company's provider is responsible for it
            return "in"
        if self.enrolled == "trusted" and self.way == "password":
            return "in"
        if self.way == "passkey":  # it counts as two factors, and without one the user is unknown
            return "in" if ENROLLED[self.enrolled] & 2 else "refused"
        if mask := ENROLLED[self.enrolled]:
            return " ".join(FIELDS[mask])
        if self.policy == "required" or (self.policy == "roles" and self.role != "Viewer"):
            return "enrol" if self.role == "Admin" else "in, due"
        return "in"


def cells_of(policy: str, way: str) -> list[Cell]:
    """All cells of a policy and a sign-in method."""
    return [Cell(policy, role, enrolled, way) for role in ROLES for enrolled in ENROLLED]
