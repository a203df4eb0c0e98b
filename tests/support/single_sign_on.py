"""Single sign-on for tests: a client's providers, and a browser that signs in through them."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import itertools
import zlib
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from lxml import etree

from tests.support.accounts import trail
from tests.support.application import App, Reply
from tests.support.domain_claims import vouch_for
from tests.support.envelope import check_refusal
from tests.support.oidc_op import Op
from tests.support.saml_idp import Idp

_numbers = itertools.count(1)
BASE = "http://127.0.0.1:8080"
ACS = f"{BASE}/api/client/auth/okta-saml"
SHARED_CALLBACK = f"{BASE}/api/client/auth/oidc/callback"
RETURN_TO = "https://app.acme.example/in"


def entity_id(client: str) -> str:
    """Our entity ID for the providers of a client."""
    return f"{ACS}/metadata?client={client}"


def callback(client: str, provider: str) -> str:
    """The redirect URI of an OpenID provider of a client."""
    return f"{SHARED_CALLBACK}/{client}/{provider}"


async def add_provider(app: App, client: str, *, vouch: bool = True, **members: Any) -> dict[str, Any]:
    """A provider created by a system admin, who approves its domains (``vouch``), with sign-in for all as Viewer."""
    body = {
        "name": f"idp-{next(_numbers)}",
        "createUsers": True,
        "defaultRoles": ["Viewer"],
        "returnAddresses": [RETURN_TO],
        **members,
    }
    reply = await app.post(f"/api/admin/clients/{client}/providers", body, token=await app.admin_token())
    made: dict[str, Any] = reply.data
    for domain in made["domains"] if vouch else ():
        await vouch_for(app, client, domain)
    return made


async def add_oidc(app: App, op: Op, client: str = "acme", oidc: dict[str, Any] | None = None, **members: Any) -> Any:
    """A provider for the stand-in ``op``."""
    settings = {"issuer": op.issuer, "clientId": op.client_id, "clientSecret": op.client_secret, **(oidc or {})}
    return await add_provider(app, client, oidc=settings, **members)


async def add_saml(app: App, idp: Idp, client: str = "acme", saml: dict[str, Any] | None = None, **members: Any) -> Any:
    """A provider for the stand-in ``idp``."""
    settings = {
        "entityId": idp.issuer,
        "certificates": [idp.certificate_pem],
        "redirectUrl": "https://idp.example/sso",
        **(saml or {}),
    }
    return await add_provider(app, client, saml=settings, **members)


@dataclass
class Browser:
    """A browser that keeps our server's cookies by name."""

    app: App
    cookies: dict[str, str] = field(default_factory=dict)

    async def send(self, method: str, address: str, **options: Any) -> Reply:
        """Send one request to our server, with its cookies; doesn't follow redirects."""
        url = urlsplit(address)
        target = url.path + (f"?{url.query}" if url.query else "")
        headers = dict(options.pop("headers", {}))
        if self.cookies:
            headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        reply = await self.app.send(method, target, headers=headers, **options)
        for line in reply.headers.get_list("set-cookie"):
            name, _, value = line.partition(";")[0].partition("=")
            if name == "device" and "Path=/;" not in line:
                continue  # the cookie of older servers, which this browser doesn't have
            if "Max-Age=0" in line:
                self.cookies.pop(name, None)
            else:
                self.cookies[name] = value
        return reply

    async def start(self, path: str, **query: str) -> Reply:
        """Start a sign-in with ``GET /api/client/auth/…``. It ends at ``RETURN_TO`` unless ``returnTo`` is given."""
        return await self.send("GET", f"/api/client/auth/{path}?{urlencode({'returnTo': RETURN_TO, **query})}")

    async def post_form(self, address: str, **fields: str) -> Reply:
        """Post a form, as a provider's page makes the browser do."""
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Origin": "https://idp.example"}
        return await self.send("POST", address, content=urlencode(fields).encode(), headers=headers)

    async def sign_in_oidc(self, op: Op, provider: str, client: str = "acme", **query: str) -> Reply:
        """Sign in through our server, the provider, and our callback; returns the callback's response."""
        started = await self.start("oidc", provider=provider, client=client, **query)
        assert started.status == 302, started.text
        return await self.send("GET", op.visit(started.headers["location"]))

    async def me(self) -> Reply:
        """The ``me`` response for the user who is signed in to the browser."""
        return await self.send("GET", "/api/client/auth/me")


def query_of(reply: Reply) -> dict[str, str]:
    """The query of the address that a response redirects to."""
    return {name: values[0] for name, values in parse_qs(urlsplit(reply.headers["location"]).query).items()}


def check_no_one_got_in(reply: Reply, status: int = 401, code: str = "SSO_FAILED") -> str:
    """Check that a rejection opens no session and redirects nowhere; returns its message."""
    error = check_refusal(reply, status, code)
    assert "location" not in reply.headers
    assert not any(line.startswith(("session=", "device=")) for line in reply.headers.get_list("set-cookie"))
    return str(error["message"])


def check_says_no_more(reply: Reply, usual: Reply) -> None:
    """Check that a rejection matches the usual one, except that its message can say what the person can do."""
    sentence = check_no_one_got_in(reply)
    other = f"This sign-in started in a different browser, or not at {BASE}. Start again there with cookies allowed."
    assert sentence in (check_no_one_got_in(usual), "This sign-in has expired. Start again.", other)
    own = ("x-request-id", "content-length")
    lines = [sorted((k, v) for k, v in r.headers.multi_items() if k not in own) for r in (reply, usual)]
    assert lines[0] == lines[1]
    assert reply.json["error"].keys() == usual.json["error"].keys()


def flow_cookies(browser: Browser) -> dict[str, str]:
    """The cookies of the browser's unfinished sign-ins."""
    return {name: value for name, value in browser.cookies.items() if name.startswith("sso-")}


async def failures(app: App, client: str) -> list[dict[str, Any]]:
    """Details of failed sign-ins in a client's audit trail, oldest first."""
    return [event.members for event in await trail(app, client) if event.event == "sign_in_failed"]


def sign_ins(app: App, method: str, result: str) -> float:
    """The number of sign-ins in the metrics."""
    labels = {"method": method, "result": result}
    return app.sample("manifest_sign_ins_total", **labels) or 0.0


@contextlib.contextmanager
def impatient(app: App) -> Iterator[None]:
    """Give providers half a second instead of half a minute, like ``MANIFEST_PROVIDER_TIMEOUT=0.5``."""
    outgoing = app.services.outgoing
    usual, outgoing.seconds = outgoing.seconds, 0.5
    try:
        yield
    finally:
        outgoing.seconds = usual


async def given_up(
    app: App, ask: Callable[[], Coroutine[Any, Any, Reply]], is_asked: Callable[[], bool] = lambda: True
) -> Reply:
    """The response when a provider doesn't finish. Another request also waits for the provider, with a long timeout,
    while others are processed. ``is_asked`` tells whether the provider is being called."""
    waiting = asyncio.create_task(ask())
    while not is_asked():
        assert not waiting.done(), waiting.result().text
        await asyncio.sleep(0.01)
    token = (await app.sign_in("viewer@acme.example", client="acme")).data["token"]
    assert (await app.me(token)).status == 200
    with impatient(app):
        reply = await ask()
    assert not waiting.done(), waiting.result().text
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    return reply


async def act_on_provider(app: App, client: str, name: str, act: str) -> None:
    """Send a system admin's ``switch-off``, ``switch-on``, or ``delete``."""
    path = f"/api/admin/clients/{client}/providers/{name}"
    method, path = ("DELETE", path) if act == "delete" else ("POST", f"{path}/{act}")
    reply = await app.send(method, path, token=await app.admin_token())
    assert reply.status == 200, reply.text


def request_of(reply: Reply) -> tuple[etree._Element, str]:
    """The AuthnRequest and RelayState of a response that redirects to a SAML provider (HTTP-Redirect)."""
    return authn_request(reply.headers["location"]), query_of(reply)["RelayState"]


def authn_request(address: str) -> etree._Element:
    """The AuthnRequest in a SAML provider's address."""
    encoded = parse_qs(urlsplit(address).query)["SAMLRequest"][0]
    return etree.fromstring(zlib.decompress(base64.b64decode(encoded, validate=True), -15))


@dataclass
class SamlProvider:
    """A client's SAML provider and its responses, which are valid unless a test changes them."""

    app: App
    idp: Idp
    client: str
    name: str
    made: dict[str, Any]

    @property
    def acs(self) -> str:
        return f"{self.app.services.settings.public_url}/api/client/auth/okta-saml"

    @property
    def audience(self) -> str:
        """Our entity ID for the provider."""
        return f"{self.acs}/metadata?client={self.client}"

    @property
    def certificate(self) -> bytes:
        """The newest certificate (DER) that the provider can encrypt for."""
        return base64.b64decode(self.made["serviceProvider"]["certificates"][0])

    def response(self, name_id: str = "alice@acme.example", **members: Any) -> str:
        """Like :meth:`Idp.response`; ``audience`` and ``acs`` can be replaced. An encrypted unsolicited response names
        the client by the address that it's sent to, like a provider with that address registered."""
        members.setdefault("now_ms", self.app.clock.now_ms())
        is_named = "encrypt_for" in members and members.get("in_response_to") is None
        usual = f"{self.acs}?client={self.client}" if is_named else self.acs
        audience, acs = members.pop("audience", self.audience), members.pop("acs", usual)
        return self.idp.response(audience, acs, name_id=name_id, **members)

    async def call(self, response: str, *, query: str = "", **options: Any) -> Reply:
        """Send an app's JSON call, without cookies."""
        return await self.app.post(f"/api/client/auth/okta-saml{query}", {"samlResponse": response}, **options)

    async def start(self, browser: Browser, **query: str) -> tuple[str, str]:
        """Start a sign-in in the browser; returns the ID of our request, and RelayState."""
        started = await browser.start("okta-saml", provider=self.name, client=self.client, **query)
        assert started.status == 302, started.text
        request, relay_state = request_of(started)
        return request.get("ID", ""), relay_state

    async def post(self, browser: Browser, response: str, relay_state: str = "") -> Reply:
        """Post the form that the provider's page makes the browser send."""
        fields = {"SAMLResponse": response, **({"RelayState": relay_state} if relay_state else {})}
        return await browser.post_form(self.acs, **fields)

    async def sign_in(self, browser: Browser, name_id: str = "alice@acme.example", **members: Any) -> Reply:
        """Sign in through the whole flow, started by the browser."""
        request_id, relay_state = await self.start(browser)
        return await self.post(browser, self.response(name_id, in_response_to=request_id, **members), relay_state)

    async def admin(self, method: str, path: str = "", body: Any = None) -> Reply:
        """Send a system admin's request about the provider: ``""`` for itself, ``/switch-off``, …"""
        address = f"/api/admin/clients/{self.client}/providers/{self.name}{path}"
        reply = await self.app.send(method, address, body, token=await self.app.admin_token())
        if reply.status == 200 and "serviceProvider" in reply.data:
            self.made = reply.data
        return reply


async def saml_provider(
    app: App, client: str = "acme", idp: Idp | None = None, saml: dict[str, Any] | None = None, **members: Any
) -> SamlProvider:
    """A SAML provider with a unique entity ID, unless ``idp`` sets one."""
    idp = idp or Idp(issuer=f"http://www.okta.com/exk{next(_numbers)}")
    made = await add_saml(app, idp, client, saml, **members)
    return SamlProvider(app, idp, client, made["name"], made)


async def begun(app: App, op: Op, client: str, browser: Browser | None = None, **query: str) -> tuple[Browser, str]:
    """A browser that returns from the provider, and the address that the provider sends it to."""
    browser = browser or Browser(app)
    started = await browser.start("oidc", client=client, **query)
    assert started.status == 302, started.text
    return browser, op.visit(started.headers["location"])


def with_query(address: str, **changes: str | None) -> str:
    """The address with some parameters changed or removed."""
    query: dict[str, Any] = {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}
    kept = {name: value for name, value in {**query, **changes}.items() if value is not None}
    return f"{address.partition('?')[0]}?{urlencode(kept)}"
