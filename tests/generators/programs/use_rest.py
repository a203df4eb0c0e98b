"""Uses the client from ``docs/generated-clients.md``, and prints each call's result as JSON."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

from manifest_rest import AuthenticatedClient
from manifest_rest.api.client import get_me, upload_file
from manifest_rest.models import Failure, MeData
from manifest_rest.types import File, Unset
from rest import BASE, rename, sessions, token_of


def refused(call: Callable[[], object]) -> str:
    try:
        call()
    except (PermissionError, ValueError) as error:
        return str(error)
    return ""


token = token_of("author@acme.example", os.environ["PASSWORD"])
client = AuthenticatedClient(base_url=BASE, token=token)
me = get_me.sync(client=client, x_client_id="acme")
assert me is not None
assert not isinstance(me, Failure)
elsewhere = get_me.sync(client=client, x_client_id="globex")
assert isinstance(elsewhere, Failure)
data: MeData = me.data
assert not isinstance(data.user, Unset)  # a machine has a service instead
operator = AuthenticatedClient(base_url=BASE, token=token_of("operator@acme.example", os.environ["PASSWORD"]))
with Path("picture.png").open("rb") as picture:
    sent = upload_file.sync_detailed(client=operator, body=File(payload=picture), name="picture.png")
print(
    json.dumps(
        {
            "me": data.user.email,
            "elsewhere": elsewhere.error.code,
            "sessions": len(sessions(token)),
            "renamed": rename(token, "Ada"),
            "uploaded": sent.status_code.value,
            "wrongPassword": refused(lambda: token_of("author@acme.example", "not the password")),
            "wrongName": refused(lambda: rename(token, "a\u0007")),
        }
    )
)
