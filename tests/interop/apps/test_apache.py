"""Debian's unmodified Apache with mod_auth_openidc, with the settings from the docs page."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from tests.architecture.docs_pages import text_of
from tests.interop.apps.app_at_server import AUTHOR, administer, is_asked, onward, register, sign_in, sign_out_here
from tests.interop.apps.entrance import Entrance
from tests.interop.browser import Browser, Shown, Step
from tests.interop.providers import install
from tests.processes.node_client import seconds_until
from tests.support.processes import ending_with_us, free_port

pytestmark = pytest.mark.endurance

_MODULES = ("mpm_event", "authz_core", "authn_core", "authz_user", "rewrite", "headers", "auth_openidc")
_MAIN = """
ServerName localhost
Listen {port}
User #65534
Group #65534
PidFile {folder}/pid
ErrorLog {folder}/error.log
Mutex file:{folder} default
{modules}
{settings}
<Location />
  Header always set X-User "expr=%{{REMOTE_USER}}"
  Header always set X-Access "%{{OIDC_access_token}}e"
  RewriteEngine on
  RewriteRule .* - [R=204,L]
</Location>
"""


@contextlib.contextmanager
def apache(folder: Path, port: int, settings: str) -> Iterator[None]:
    root = install.debian("apache-openidc", "apache2-bin", "libapache2-mod-auth-openidc")
    load = (f"LoadModule {name}_module {root}/usr/lib/apache2/modules/mod_{name}.so" for name in _MODULES)
    text = _MAIN.format(port=port, folder=folder, modules="\n".join(load), settings=settings)
    (folder / "apache.conf").write_text(text)
    command = [str(root / "usr/sbin/apache2"), "-X", "-f", str(folder / "apache.conf")]
    seen = {**os.environ, "LD_LIBRARY_PATH": install.libraries(root)}
    log = folder / "output"
    with log.open("wb") as output:
        process = subprocess.Popen(ending_with_us(command, "TERM"), env=seen, stdout=output, stderr=output)
    try:
        while process.poll() is None:
            with contextlib.suppress(httpx2.TransportError):
                httpx2.get(f"http://localhost:{port}/", timeout=30)
                break
            time.sleep(0.05)
        errors = folder / "error.log"
        assert process.poll() is None, log.read_text() + (errors.read_text() if errors.exists() else "")
        yield
    finally:
        process.terminate()
        process.wait()


def test_it_signs_in_renews_and_signs_out(tmp_path: Path, server: Entrance) -> None:
    printed = "".join(re.findall(r"```apache\n(.*?)```", text_of("apps-frameworks.md"), re.DOTALL))
    port = free_port()
    home = f"http://localhost:{port}"
    app = register(
        server,
        "web",
        f"{home}/oidc-callback",
        scopes=["openid", "profile", "email", "offline_access"],
        postLogoutRedirectUris=[f"{home}/"],
        backchannelLogoutUri=f"{home}/oidc-callback?logout=backchannel",
        accessTokenSeconds=60,
    )
    here = {"https://wiki.example.com": home, "exec:/bin/cat /etc/apache2/oidc-passphrase": "x" * 32}
    with apache(tmp_path, port, app.in_program(printed, **here)), Browser() as browser:

        def signed_in() -> httpx2.Headers:
            shown = sign_in(browser, f"{home}/")
            assert isinstance(shown, Shown)
            assert (shown.status, shown.headers["x-user"]) == (204, AUTHOR)
            return shown.headers

        first = signed_in()["x-access"]
        # Apache would store a session again if it ends while a token is being renewed.
        administer(server, f"/apps/{app.id}", {"accessTokenSeconds": 900}, "PATCH")
        assert seconds_until(lambda: browser.take(Step("GET", f"{home}/")).headers["x-access"] != first) < 5
        sign_out_here(browser, server.base)
        assert seconds_until(lambda: browser.take(Step("GET", f"{home}/")).status == 302) < 5
        signed_in()
        leaves = browser.onward_from(Step("GET", f"{home}/oidc-callback?logout={home.replace(':', '%3A')}%2F"))
        left = onward(browser, browser.walk(leaves, f"{home}/"), f"{home}/")
        assert isinstance(left, Step), left.text
        assert is_asked(browser.walk(Step("GET", f"{home}/")))
