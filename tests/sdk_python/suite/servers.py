"""The suite's server: the library's stand-in, or the real server that ``SDK_SERVER`` describes."""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from dataclasses import dataclass, field, replace
from typing import Any

import uvicorn
from joserfc.jwk import ECKey

from manifest_auth_client import ManifestAuth, Tokens
from manifest_auth_client.testing import FakeManifestAuth

EMAIL, PASSWORD, GUARDED = "author@acme.example", "kestrel-harbor-21-violet", "guarded@acme.example"
FAR_S = 86_400


@dataclass
class Machine:
    """A service account: a Viewer named ``robot``, limited to reading users and jobs, with permission to introspect."""

    client_id: str
    secret: str
    key: str
    private_key: dict[str, Any]


@dataclass
class Server:
    """``expired`` are tokens with an expired access token, ``proofs`` are codes of the user with a second factor, and
    ``service`` is a machine, if the server has any."""

    base_url: str
    fake: FakeManifestAuth | None
    expired: list[Tokens] = field(default_factory=list)
    proofs: list[dict[str, str]] = field(default_factory=list)
    service: dict[str, Any] | None = None

    def expired_tokens(self, base_url: str = "", *, is_known: bool = False) -> Tokens:
        """Tokens of a session with an expired access token. ``is_known`` means that this machine also knows that it
        expired."""
        if self.fake is None:
            tokens = self.expired.pop()
        else:
            with ManifestAuth(self.base_url, client="acme") as auth:
                tokens = auth.sign_in(EMAIL, PASSWORD).tokens
            self.fake.expire_access_tokens()
        end = time.time() + (-1 if is_known else FAR_S)
        return replace(tokens, base_url=base_url or self.base_url, expires_at=end, renew_at=end)

    def second_factor(self) -> dict[str, str]:
        """An unused code."""
        return {"otp": "123456"} if self.fake is not None else self.proofs.pop()

    def machine(self) -> Machine:
        """The service account."""
        if self.fake is None:
            assert self.service is not None
            return Machine(**self.service)
        made = self.fake.add_service("robot", scopes=["users:read", "jobs:read"], may_introspect=True)
        key = ECKey.generate_key("P-256", {"kid": "one"})
        made.jwks = {"keys": [key.as_dict(private=False)]}
        return Machine(made.client_id, made.secret, made.key, dict(key.as_dict(private=True)))

    def after_the_grace(self) -> None:
        """Let time pass until a replaced refresh token is no longer accepted."""
        if self.fake is not None:
            self.fake.advance(11)
        else:
            time.sleep(1.2)  # MANIFEST_REFRESH_GRACE is one second


def real() -> Server | None:
    """The server that ``SDK_SERVER`` describes."""
    if (text := os.environ.get("SDK_SERVER")) is None:
        return None
    given = json.loads(text)
    tokens = [Tokens.of_dict(one) for one in given.pop("expired")]
    return Server(fake=None, expired=tokens, **given)


class Standing:
    """The stand-in on a port of this machine, served by uvicorn."""

    def __init__(self) -> None:
        listening = socket.create_server(("127.0.0.1", 0), backlog=512)
        base_url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        fake = FakeManifestAuth(base_url)
        fake.add_user(EMAIL, PASSWORD, roles=["Author"], first_name="Arthur", last_name="Author")
        fake.add_user(GUARDED, PASSWORD, roles=["Viewer"], otp="123456")
        self.server = Server(base_url, fake)
        config = uvicorn.Config(fake, log_level="error", lifespan="off")
        self._uvicorn = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._uvicorn.run, args=([listening],), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._uvicorn.should_exit = True
        self._thread.join(10)
