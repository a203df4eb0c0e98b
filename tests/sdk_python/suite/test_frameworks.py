"""FastAPI and Starlette: callers, errors in the server's envelope, and the stand-in as an ASGI application."""

from __future__ import annotations

import json
import time
from typing import Any

import httpx2
import pytest
from fastapi import Depends, FastAPI
from joserfc import jws
from joserfc.jwk import ECKey
from starlette.applications import Starlette
from starlette.authentication import requires
from starlette.middleware import Middleware
from starlette.middleware.authentication import AuthenticationMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from manifest_auth_client import (
    Caller,
    ClientCredentials,
    Connection,
    ManifestAuth,
    OfflineVerificationUnavailable,
    TokenVerifier,
)
from manifest_auth_client.fastapi import Guard
from manifest_auth_client.starlette import ManifestAuthBackend, refuse
from manifest_auth_client.testing import FakeManifestAuth

ISSUER = "http://auth.example"


@pytest.fixture
def fake() -> FakeManifestAuth:
    made = FakeManifestAuth(ISSUER)
    made.add_user("olga@acme.example", "secret", roles=["Operator"])
    made.add_user("vic@acme.example", "secret", roles=["Viewer"])
    return made


@pytest.fixture
def verifier(fake: FakeManifestAuth) -> TokenVerifier:
    service = fake.add_service("api", may_introspect=True)
    connection = Connection(ISSUER, transport=fake.transport)
    machine = ClientCredentials(ISSUER, service.client_id, secret=service.secret, connection=connection)
    return TokenVerifier(ISSUER, "manifest-api", credentials=machine, connection=connection)


@pytest.fixture(params=["fastapi", "starlette"])
def app(request: pytest.FixtureRequest, verifier: TokenVerifier) -> Any:
    """Two routes, one of which requires a permission."""
    if request.param == "starlette":

        @requires("authenticated", status_code=401)
        async def who(request: Request) -> JSONResponse:
            return JSONResponse({"who": request.user.display_name})

        @requires("jobs:execute")
        async def start(request: Request) -> JSONResponse:
            return JSONResponse({"who": request.user.identity})

        backend = Middleware(AuthenticationMiddleware, backend=ManifestAuthBackend(verifier), on_error=refuse)
        return Starlette(routes=[Route("/who", who), Route("/start", start, methods=["POST"])], middleware=[backend])
    made = FastAPI()
    require = Guard(made, verifier)

    @made.get("/who")
    async def who_calls(caller: Caller = Depends(require())) -> dict[str, Any]:  # noqa: B008
        return {"who": caller.username}

    @made.post("/start")
    async def start_job(caller: Caller = Depends(require("jobs:execute"))) -> dict[str, Any]:  # noqa: B008
        return {"who": caller.subject}

    return made


def token(fake: FakeManifestAuth, name: str) -> dict[str, str]:
    with ManifestAuth(ISSUER, transport=fake.transport) as auth:
        return {"Authorization": f"Bearer {auth.sign_in(f'{name}@acme.example', 'secret').tokens.access_token}"}


async def test_who_can_is_let_in_and_others_are_rejected(app: Any, fake: FakeManifestAuth) -> None:
    olga, vic = token(fake, "olga"), token(fake, "vic")
    transport = httpx2.ASGITransport(app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://api.example") as http:
        assert (await http.get("/who", headers=vic)).json() == {"who": "vic@acme.example"}
        assert (await http.post("/start", headers=olga)).json() == {"who": "1"}
        assert (await http.post("/start", headers=vic)).status_code == 403
        assert (await http.get("/who")).status_code == 401
        bad = await http.get("/who", headers={"Authorization": "Bearer x"})
        assert (bad.status_code, bad.json()["error"]["code"]) == (401, "INVALID_TOKEN")
        assert bad.headers["www-authenticate"] == 'Bearer error="invalid_token"'
        for headers in ([("Authorization", vic["Authorization"])] * 2, {"Authorization": "Basic eDp5"}):
            assert (await http.get("/who", headers=headers)).status_code == 401
        fake.end_sessions(fake._state.users[1])
        assert (await http.get("/who", headers=vic)).status_code == 401


async def test_fastapi_rejects_in_the_servers_envelope(verifier: TokenVerifier, fake: FakeManifestAuth) -> None:
    app = FastAPI()
    require = Guard(app, verifier)

    @app.get("/")
    async def start(caller: Caller = Depends(require("jobs:execute"))) -> None: ...  # noqa: B008

    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://api.example") as http:
        nothing, less = await http.get("/"), await http.get("/", headers=token(fake, "vic"))
    assert nothing.json()["error"] == {"code": "UNAUTHENTICATED", "message": "Authentication required"}
    assert nothing.headers["www-authenticate"] == "Bearer"
    assert less.json() == {"success": False, "error": {"code": "FORBIDDEN", "message": "Insufficient permissions"}}
    assert less.status_code == 403


async def test_a_permission_that_cannot_be_known_is_a_mistake_of_the_setup(fake: FakeManifestAuth) -> None:
    """It isn't a permanent 403: FastAPI reports it at the definition, Starlette with the first request."""
    key = ECKey.generate_key("P-256", {"kid": "one"})

    def answer(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, json={"keys": [{**key.as_dict(private=False), "alg": "ES256"}]})

    connection = Connection(ISSUER, transport=httpx2.MockTransport(answer))
    verifier = TokenVerifier(ISSUER, "manifest-api", mode="jwks", client="acme", connection=connection)
    claims = {"iss": ISSUER, "aud": "manifest-api", "sub": "7", "client": "acme", "exp": time.time() + 60}
    token = jws.serialize_compact({"alg": "ES256", "typ": "JWT", "kid": "one"}, json.dumps(claims), key)
    with pytest.raises(OfflineVerificationUnavailable, match="permissions"):
        Guard(FastAPI(), verifier)("jobs:execute")
    Guard(FastAPI(), verifier)()

    @requires("authenticated")
    async def who(request: Request) -> JSONResponse:
        return JSONResponse({"who": request.user.identity})

    @requires("jobs:execute")
    async def start(request: Request) -> JSONResponse:
        return JSONResponse({})

    backend = Middleware(AuthenticationMiddleware, backend=ManifestAuthBackend(verifier), on_error=refuse)
    app = Starlette(routes=[Route("/who", who), Route("/start", start)], middleware=[backend])
    headers = {"Authorization": f"Bearer {token}"}
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://api.example") as http:
        assert (await http.get("/who", headers=headers)).json() == {"who": "7"}
        with pytest.raises(OfflineVerificationUnavailable, match="permissions"):
            await http.get("/start", headers=headers)
        assert (await http.get("/start")).status_code == 403


async def test_without_the_server_no_one_is_let_in() -> None:
    def away(request: httpx2.Request) -> httpx2.Response:
        raise httpx2.ConnectError("away")

    connection = Connection(ISSUER, transport=httpx2.MockTransport(away))
    machine = ClientCredentials(ISSUER, "svc_1", secret="x", connection=connection)
    app = FastAPI()
    require = Guard(app, TokenVerifier(ISSUER, "manifest-api", credentials=machine, connection=connection))

    @app.get("/")
    async def who(caller: Caller = Depends(require())) -> None: ...  # noqa: B008

    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://api.example") as http:
        answer = await http.get("/", headers={"Authorization": "Bearer x"})
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert answer.json()["error"]["code"] == "OVERLOADED"


async def test_a_refusal_that_the_application_was_given_is_not_its_callers(verifier: TokenVerifier) -> None:
    """An error of a route's own call is an error of the application, not of the token that it received."""
    app = FastAPI()
    Guard(app, verifier)

    @app.get("/")
    async def fails() -> None:
        with ManifestAuth(ISSUER, transport=FakeManifestAuth().transport) as auth:
            auth.me()

    transport = httpx2.ASGITransport(app, raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url="http://api.example") as http:
        assert (await http.get("/")).status_code == 500


async def test_the_stand_in_is_an_asgi_application(fake: FakeManifestAuth) -> None:
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(fake), base_url=ISSUER) as http:
        body = {"email": "olga@acme.example", "password": "secret"}
        answer = await http.post("/api/client/auth/sign-in", json=body)
    assert answer.json()["data"]["user"]["roles"] == ["Operator"]
