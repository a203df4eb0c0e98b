"""The stand-in for Microsoft: one socket that serves login, Graph, and Dataverse.

Its responses are as correct or as broken as a test needs.

It runs in its own threads, so that any test can use it, even one with a waiting event loop or with servers in other
processes. Its settings are plain attributes, read again for each request::

    with standin(clock) as microsoft:
        token = microsoft.mint("graph", "contoso", "alice", claims={"appid": OTHER_APP})
        microsoft.answers["graph"] = bodies.throttled(7)
        microsoft.delay["dataverse"] = 3
        assert microsoft.count("graph") == 0

It doesn't support consent and Conditional Access pages, client assertions, refresh tokens, or ``form_post``.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from manifest_auth.runtime.clock import Clock
from tests.interop.microsoft import error_bodies, resources, tokens
from tests.interop.microsoft.login import Login, endpoint_of
from tests.interop.microsoft.people import POWER_APP, Directory, consumers, contoso, fabrikam
from tests.interop.microsoft.tokens import ISSUER, SHARED, STS
from tests.support.oidc_socket import Answer, Asked, Gates, Socket, with_changes


class Standin:
    """The stand-in. All attributes can be changed at any time."""

    def __init__(self, base: str, clock: Clock) -> None:
        self.base, self.clock = base, clock
        self.directories: list[Directory] = [contoso(), fabrikam(), consumers()]
        self.login = Login(self)
        self.asked: list[Asked] = []  # all requests so far
        self.reset()

    def reset(self) -> None:
        """Reset everything that tests change."""
        self.asked.clear()
        self.user = "alice"  # the person in front of the browser
        self.refuses: str | None = None  # the authorize endpoint redirects with this error
        self.redirect: dict[str, Any] = {}  # replaces parameters of the redirect; None omits one
        self.id_claims: dict[str, Any] = {}  # replaces claims of the ID token; None omits one
        self.id_key: str | None = None  # the owner of the key for ID tokens, if not the directory
        self.token: dict[str, Any] = {}  # replaces members of the token endpoint's response
        self.profile: dict[str, Any] = {}  # replaces members of Graph's response about a person
        self.who_am_i: dict[str, Any] = {}  # replaces members of Dataverse's response about a person
        self.announced: dict[str, Any] = {}  # replaces members of discovery documents
        self.answers: dict[str, Answer] = {}  # by endpoint: an exact response
        self.delay: dict[str, float] = {}  # by endpoint: seconds
        self.gates = Gates()  # by endpoint, or by the directory ID of tokens sent to Graph
        for registered in self.login.registrations.values():
            registered.consented = True

    @property
    def settings(self) -> dict[str, str]:
        """The settings of a server that uses it: issuers are Microsoft's, but addresses are on loopback."""
        cloud = f"login={self.base} graph={self.base} dataverse={self.base} issuer={ISSUER} sts={STS}"
        return {"MANIFEST_MICROSOFT_CLOUD": "custom", "MANIFEST_MICROSOFT_CUSTOM_CLOUD": cloud}

    def count(self, endpoint: str) -> int:
        """The number of requests to an endpoint: ``discovery``, ``keys``, ``authorize``, ``token``, ``graph``, or
        ``dataverse``."""
        return sum(asked.endpoint == endpoint for asked in self.asked)

    def find(self, name: str) -> Directory | None:
        """A directory by ID, by domain, or by the first part of its domain."""
        names = {"consumers": self.directories[-1]}
        for one in self.directories:
            names |= {one.id: one, one.domain: one, one.domain.partition(".")[0]: one}
        return names.get(name)

    def named(self, name: str) -> Directory:
        """Like :meth:`find`, for a directory that exists."""
        found = self.find(name)
        assert found is not None, name
        return found

    def home_of(self, address: str) -> Directory:
        """The directory that ``common`` and ``organizations`` choose for an address, based on its domain."""
        found = self.find(address.rpartition("@")[2]) if address else None
        return found or next(one for one in self.directories if self.user in one.people)

    def mint(
        self,
        kind: str,
        directory: str = "contoso",
        user: str = "alice",
        *,
        app: str = POWER_APP,
        claims: dict[str, Any] | None = None,
        header: dict[str, Any] | None = None,
        key_of: str | None = None,
        lifetime: int = 4500,
    ) -> str:
        """A token: ``graph``, ``dataverse``, ``api`` and ``api-v1`` (for our own application), or ``id``.

        ``claims`` and ``header`` replace members, and None removes one. ``key_of`` is another directory, or ``shared``.
        """
        home = self.named(directory)
        name = home.id if key_of is None else SHARED if key_of == SHARED else self.named(key_of).id
        now = self.clock.now_ms() // 1000
        usual = tokens.claims_of(kind, home, user, app, now, lifetime)
        told = with_changes(tokens.header_of(kind, name), header or {})
        return tokens.signed(told, with_changes(usual, claims or {}), name)

    def is_genuine(self, token: str) -> bool:
        """Whether the token is signed by its directory's key, or by the shared key."""
        try:
            issued_by = self.find(str(tokens.parts(token)[1].get("tid")))
            return issued_by is not None and tokens.is_genuine(token, (issued_by.id, SHARED))
        except ValueError:
            return False

    def visit(self, address: str, user: str = "") -> str:
        """The URL to which the authorize endpoint redirects a browser that opens this address."""
        self.user = user or self.user
        url = urlsplit(address)
        answer = self._routed(Asked("GET", url.path, dict(parse_qsl(url.query)), {}, {}, "authorize"))
        return answer.headers["Location"]

    def answer(self, asked: Asked) -> Answer:
        """Respond to a request; called by the socket, in its own thread."""
        asked.endpoint = endpoint_of(asked.path)
        if asked.path.startswith("/v1.0/"):
            asked.endpoint = "graph"
        elif asked.path.startswith("/api/data/"):
            asked.endpoint = "dataverse"
        self.asked.append(asked)
        self.gates.wait(asked.endpoint)
        if asked.endpoint == "graph" and self.gates.are_some_shut:
            self.gates.wait(_directory_of(asked))
        time.sleep(self.delay.get(asked.endpoint, 0))
        return self.answers.get(asked.endpoint) or self._routed(asked)

    def _routed(self, asked: Asked) -> Answer:
        if asked.endpoint == "graph" and asked.path == "/v1.0/me":
            return resources.graph(self, asked)
        if asked.endpoint == "graph":
            segment = asked.path.split("/")[2]
            return error_bodies.graph(
                "BadRequest", f"Resource not found for the segment '{segment}'.", self.clock.now_ms(), 400
            )
        if asked.endpoint == "dataverse" and asked.path.partition("(")[0] == "/api/data/v9.2/WhoAmI":
            return resources.dataverse(self, asked)
        if asked.endpoint in ("discovery", "keys", "authorize", "token"):
            return self.login.answer(asked)
        return Answer(404)


def _directory_of(asked: Asked) -> str:
    """The directory of the token sent to Graph."""
    token = asked.headers.get("authorization", "").removeprefix("Bearer ")
    return str(tokens.parts(token)[1].get("tid"))


@contextlib.contextmanager
def standin(clock: Clock | None = None) -> Iterator[Standin]:
    """Run a stand-in on a free port until the block ends. It uses the real clock unless one is given."""
    with Socket() as socket:
        microsoft = Standin(socket.base, clock or Clock())
        socket.answer = microsoft.answer
        threading.Thread(target=socket.serve, daemon=True).start()
        yield microsoft
