"""Debian ``glewlwyd``, a single sign-on server in C.

Its issuer has a path, ``sub`` is a random text, and ID tokens are RS512 with ``c_hash``, and contain email address,
name, and groups. Its sign-in page is a script that calls a JSON API; the tests make the same calls.
"""

from __future__ import annotations

import gzip
import sqlite3
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.interop import http_client
from tests.interop.browser import Browser, Shown, Step, Stuck
from tests.interop.providers import install
from tests.interop.providers.people import BARRED, PEOPLE, Person
from tests.interop.providers.provider import RealOidcProvider

CLIENT = "manifest"
#: It doesn't decode the form encoding in HTTP Basic (RFC 6749, section 2.3.1), and rejects secrets that differ with 403
#: ``unauthorized_client``. In the body, the secret arrives unchanged.
SECRET = "a secret: 100% of signs & that+glewlwyd/knows="
_SCOPES = ("openid", "profile", "email")
_PLUGIN = {"module": "oidc", "name": "oidc", "display_name": "oidc", "order_rank": 0}
#: Dependencies of its packages that are only for other databases or for display.
_UNNEEDED = r"dbconfig-|default-mysql-client|mariadb-client|fonts-|libconfig-inifiles|libpcre2-posix"
_CONFIGURATION = """\
port = {port}
bind_address = "127.0.0.1"
external_url = "{base}"
login_url = "login.html"
api_prefix = "api"
static_files_path = "{root}/usr/share/glewlwyd/webapp/"
log_mode = "console"
log_level = "WARNING"
cookie_secure = 0
session_expiration = 86400
session_key = "GLEWLWYD2_SESSION_ID"
admin_scope = "g_admin"
profile_scope = "g_profile"
user_module_path = "{root}/usr/lib/glewlwyd/user"
client_module_path = "{root}/usr/lib/glewlwyd/client"
user_auth_scheme_module_path = "{root}/usr/lib/glewlwyd/scheme"
plugin_module_path = "{root}/usr/lib/glewlwyd/plugin"
hash_algorithm = "SHA512"
database = {{ type = "sqlite3"; path = "{database}"; }}
"""


def installed() -> Path:
    """The root of the unpacked packages."""
    return install.debian("glewlwyd", "glewlwyd", "glewlwyd-common", without=_UNNEEDED)


class Glewlwyd(RealOidcProvider):
    """The server with one confidential client."""

    name = "glewlwyd"
    ready_path = "/config"

    def __init__(self, folder: Path, redirect_uris: list[str]) -> None:
        super().__init__(folder)
        self.issuer = f"{self.base}/api/oidc"
        self._redirect_uris = list(redirect_uris)
        self._root = Path()
        self._admin = http_client.client(self.base)

    def command(self) -> list[str]:
        self._root = installed()
        database = self.folder / f"{self.name}.db"
        if not database.exists():
            schema = self._root / "usr/share/doc/glewlwyd/database/init.sqlite3.sql.gz"
            with sqlite3.connect(database) as connection:
                connection.executescript(gzip.decompress(schema.read_bytes()).decode())
        configuration = self.folder / f"{self.name}.conf"
        written = _CONFIGURATION.format(port=self.port, base=self.base, root=self._root, database=database)
        configuration.write_text(written)
        return [str(self._root / "usr/bin/glewlwyd"), f"--config-file={configuration}"]

    def environment(self) -> dict[str, str]:
        return {"LD_LIBRARY_PATH": install.libraries(self._root)}

    def start(self) -> None:
        fresh = not (self.folder / f"{self.name}.db").exists()
        super().start()
        if fresh:
            self._fill()

    def put(self, person: Person) -> None:
        self._call("PUT", f"/user/{person.login}", _account(person))

    def register(self, redirect_uri: str) -> None:
        self._redirect_uris.append(redirect_uri)
        self._call("PUT", f"/client/{CLIENT}", self._client())

    def rotate(self) -> None:
        self._call("PUT", "/mod/plugin/oidc", {**_PLUGIN, "parameters": self._plugin()})
        self._call("PUT", "/mod/plugin/oidc/reset", None)

    def asks(self, shown: Shown) -> bool:
        return urlsplit(shown.url).path == "/login.html"

    def answer(self, browser: Browser, shown: Shown, person: Person) -> Step:
        asked = shown.step.query
        self._as_the_page_does(browser, "POST", "/auth/", {"username": person.login, "password": person.password})
        self._as_the_page_does(browser, "PUT", f"/auth/grant/{asked['client_id']}", {"scope": asked["scope"]})
        return shown.to(f"{asked['callback_url']}&g_continue")

    def _as_the_page_does(self, browser: Browser, method: str, path: str, body: dict[str, Any]) -> None:
        cookies = browser.jar.sent("GET", f"{self.base}/api/", same=True)
        headers = {"Cookie": cookies} if cookies else {}
        answer = http_client.send(method, f"{self.base}/api{path}", json=body, headers=headers)
        if answer.status_code != 200:
            raise Stuck(f"{self.name}: {method} {path}: {answer.status_code} {answer.text}")
        browser.jar.store(f"{self.base}/api/", answer.headers.get_list("set-cookie"))

    def _call(self, method: str, path: str, body: Any) -> None:
        # After ten minutes, it forgets that the administrator entered the password.
        signed_in = self._admin.post("/api/auth/", json={"username": "admin", "password": "password"})
        assert signed_in.status_code == 200, signed_in.text
        answer = self._admin.request(method, f"/api{path}", json=body)
        assert answer.status_code == 200, f"{self.name}: {method} {path}: {answer.status_code} {answer.text}"

    def _fill(self) -> None:
        """Configure what an administrator configures once: a field for groups, scopes, the OpenID plugin, the client,
        and people."""
        parameters = {
            "use-glewlwyd-connection": True,
            "data-format": {"groups": {"multiple": True, "read": True, "write": True}},
        }
        users = {"module": "database", "name": "database", "display_name": "people", "order_rank": 0, "readonly": False}
        self._call("PUT", "/mod/user/database", {**users, "parameters": parameters})
        self._call("PUT", "/mod/user/database/reset/", None)
        for scope in _SCOPES:
            given = {
                "name": scope,
                "display_name": scope,
                "description": scope,
                "password_required": True,
                "scheme": {},
            }
            known = scope == "openid"
            self._call("PUT" if known else "POST", f"/scope/{scope if known else ''}", given)
        self._call("POST", "/mod/plugin/", {**_PLUGIN, "parameters": self._plugin()})
        self._call("POST", "/client/", self._client())
        for person in PEOPLE:
            self._call("POST", "/user/", _account(person))

    def _plugin(self) -> dict[str, Any]:
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        pem, public = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        return {
            "iss": self.issuer,
            "jwt-type": "rsa",
            "jwt-key-size": "512",
            "key": private.decode(),
            "cert": key.public_key().public_bytes(pem, public).decode(),
            "subject-type": "public",
            "access-token-duration": 3600,
            "refresh-token-duration": 86400,
            "code-duration": 600,
            "allow-non-oidc": False,
            "auth-type-code-enabled": True,
            "auth-type-code-revoke-replayed": True,
            "auth-type-token-enabled": False,
            "auth-type-password-enabled": False,
            "auth-type-client-enabled": False,
            "auth-type-device-enabled": False,
            "auth-type-refresh-enabled": True,
            "jwks-show": True,
            "pkce-allowed": True,
            "pkce-required": True,
            "pkce-method-plain-allowed": False,
            "pkce-scopes": [],
            "oauth-as-iss-id": True,
            "allowed-scope": list(_SCOPES),
            "name-claim": "mandatory",
            "email-claim": "mandatory",
            "scope-claim": "no",
            "claims": [{"name": "groups", "user-property": "groups", "type": "string", "mandatory": True}],
            "request-parameter-allow": False,
            "encrypt-out-token-allow": False,
            "introspection-revocation-allowed": False,
        }

    def _client(self) -> dict[str, Any]:
        return {
            "client_id": CLIENT,
            "name": "Manifest",
            "enabled": True,
            "confidential": True,
            "client_secret": SECRET,
            "token_endpoint_auth_method": ["client_secret_basic", "client_secret_post"],
            "redirect_uri": self._redirect_uris,
            "authorization_type": ["code"],
            "scope": [],
        }


def _account(person: Person) -> dict[str, Any]:
    scopes = () if BARRED in person.groups else _SCOPES
    return {
        "username": person.login,
        "name": f"{person.first_name} {person.last_name}",
        "email": person.email,
        "password": person.password,
        "groups": list(person.groups),
        "enabled": True,
        "scope": [*scopes, "g_profile"],
    }
