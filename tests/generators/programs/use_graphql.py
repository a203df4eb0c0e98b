"""Uses the client from ``docs/generated-clients.md``, and prints each call's result as JSON."""

from __future__ import annotations

import json
import os

from graph import add_template, client_of, users


def refused(token: str, name: str) -> str:
    try:
        add_template(token, name)
    except PermissionError as error:
        return str(error)
    return ""


token = os.environ["TOKEN"]
found = client_of(token).users(first=3)
print(
    json.dumps(
        {
            "me": found.me.email,
            "users": users(token),
            "made": add_template(token, "Pump"),
            "refused": refused(token, ""),
        }
    )
)
