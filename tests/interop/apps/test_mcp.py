"""The Model Context Protocol SDK: its client signs in to the server from the docs, with a manually created app."""

from __future__ import annotations

import subprocess
from pathlib import Path

import httpx2
import pytest

from tests.interop.apps.app_at_server import administer, register, sign_in
from tests.interop.apps.entrance import entrance
from tests.interop.apps.test_libraries import CALLBACK, printed
from tests.interop.browser import Browser, Step
from tests.interop.programs import running
from tests.sdk_python import environment
from tests.support.processes import free_port

pytestmark = [pytest.mark.one_store, pytest.mark.endurance]

_CLIENT = """
import asyncio, sys
from urllib.parse import parse_qsl, urlsplit
import httpx2
from mcp import ClientSession
from mcp.client.auth import AuthorizationCodeResult, OAuthClientProvider
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import OAuthClientInformationFull, OAuthClientMetadata

server, app, callback = sys.argv[1:]
known = {"redirect_uris": [callback], "token_endpoint_auth_method": "none"}

class Storage:
    async def get_client_info(self): return OAuthClientInformationFull(client_id=app, **known)
    async def set_client_info(self, info): raise AssertionError("it registered itself")
    async def get_tokens(self): return None
    async def set_tokens(self, tokens): pass

async def leave(address):
    print(address, flush=True)

async def come_back():
    line = await asyncio.to_thread(sys.stdin.readline)
    return AuthorizationCodeResult(**dict(parse_qsl(urlsplit(line.strip()).query)))

async def main():
    oauth = OAuthClientProvider(server, OAuthClientMetadata(**known), Storage(), leave, come_back)
    async with (
        httpx2.AsyncClient(auth=oauth) as http,
        streamable_http_client(server, http_client=http) as streams,
        ClientSession(*streams[:2]) as session,
    ):
        await session.initialize()
        print((await session.call_tool("user", {})).content[0].text, flush=True)
        oauth.context.token_expiry_time = 1  # as if an hour had gone by
        print((await session.call_tool("user", {})).content[0].text, flush=True)

asyncio.run(main())
"""


def test_its_client_finds_the_issuer_signs_in_and_renews(tmp_path: Path, database_url: str) -> None:
    python = environment.python()
    environment.install(python, "mcp==2.3.0")
    port = free_port()
    home = f"http://127.0.0.1:{port}"
    with entrance(tmp_path, database_url, 1) as server, Browser() as browser:
        scopes = ["openid", "templates:read", "offline_access"]
        app = register(server, "native", "http://127.0.0.1/callback", scopes=scopes)
        account = administer(server, "/service-accounts", {"name": "mcp", "roles": ["Viewer"], "mayIntrospect": True})
        secret = administer(server, f"/service-accounts/{account['id']}/secrets", {"expiresInDays": 90})["secret"]
        given = {"CLIENT_ID": f"svc_{account['id']}", "CLIENT_SECRET": secret, "MCP_CLIENT_IDS": app.id}
        here = {"https://auth.example.com/oauth2": f"{server.base}/oauth2", "https://mcp.example.com": home}
        program = app.in_program(printed("python", "MCPServer"), **here)
        with running(program, "python", tmp_path, {}, port, **given):
            assert httpx2.post(f"{home}/mcp", json={}).status_code == 401
            command, pipe = [str(python), "-c", _CLIENT, f"{home}/mcp", app.id, CALLBACK], subprocess.PIPE
            with subprocess.Popen(command, text=True, stdin=pipe, stdout=pipe, stderr=pipe) as process:
                assert process.stdout is not None
                start = process.stdout.readline().strip()
                assert start, process.communicate()[1]
                back = sign_in(browser, start, CALLBACK)
                assert isinstance(back, Step), back.text
                output, errors = process.communicate(f"{back.url}\n", timeout=60)
        first, second = output.split()
        assert first == second, errors
        assert first.isdecimal()
        assert server.calls.count("token refresh_token") == 1
