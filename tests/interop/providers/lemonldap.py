"""Debian ``lemonldap-ng``, a single sign-on server in Perl for OpenID and, with the library Lasso, SAML.

In OpenID, its issuer ends in a slash, discovery lists ``none`` and HMAC, and groups come from userinfo. In SAML, it
requires signed requests and checks their signatures in both bindings, and its metadata contain line breaks in
certificates.
"""

from __future__ import annotations

import json
import secrets
import sqlite3
from pathlib import Path
from typing import Any

from tests.interop.browser import Browser, Shown, Step
from tests.interop.providers import certificates, install
from tests.interop.providers.people import BARRED, PEOPLE, Person
from tests.interop.providers.provider import RealOidcProvider, RealSamlProvider

CLIENT = "manifest"
#: It doesn't decode HTTP Basic either, and returns 401 ``invalid_client``.
SECRET = "a secret: 100% of signs & that+lemonldap/knows="
#: The portal, its recommended packages that are used here, and those that it loads anyway.
_PACKAGES = (
    "liblemonldap-ng-portal-perl",
    "liblasso-perl",
    "libcrypt-jwt-perl",
    "libdbd-sqlite3-perl",
    "libemail-address-xs-perl",
    "libemail-sender-perl",
    "libio-string-perl",
    "libmime-tools-perl",
    "libstring-random-perl",
    "libxml-libxml-perl",
    "libxml-libxslt-perl",
    "libxml-simple-perl",
)
_INI = """\
[all]
useSafeJail = 1
logLevel = notice
checkTime = 1
localSessionStorage = Cache::FileCache
localSessionStorageOptions = {{ 'namespace' => 'sessions', 'cache_root' => '{folder}/cache', 'cache_depth' => 3 }}
[configuration]
type = File
dirName = {folder}/conf
[portal]
staticPrefix = /static
templateDir = {root}/usr/share/lemonldap-ng/portal/templates
languages = en
"""
#: The people who can use our server.
_RULE = f"$memberof !~ /{BARRED}/"
#: For each attribute: whether it's required, and its name.
_ATTRIBUTES = {"mail": "1;email", "firstname": "1;firstName", "lastname": "1;lastName", "memberof": "0;groups"}


def installed() -> Path:
    """The root of the unpacked packages."""
    return install.debian("lemonldap", *_PACKAGES, without=r"fonts-|libjs-|libtest-")


class LemonLdap(RealOidcProvider, RealSamlProvider):
    """The portal, with one OpenID client and one SAML service provider at a time."""

    name = "lemonldap"
    ready_path = "/saml/metadata"

    def __init__(self, folder: Path, redirect_uris: list[str]) -> None:
        super().__init__(folder)
        self.issuer = f"{self.base}/"
        self.entity_id = f"{self.base}/saml/metadata"
        self.key, self.certificate = certificates.make(folder, self.name)
        self._openid_pair = certificates.make(folder, f"{self.name}-openid")
        self._redirect_uris = list(redirect_uris)
        self._service_provider: dict[str, Any] = {}
        self._root = Path()
        self._people = folder / "people.db"
        for each in ("conf", "sessions", "locks", "cache"):
            (folder / each).mkdir()
        with sqlite3.connect(self._people) as database:
            database.execute("CREATE TABLE people (login PRIMARY KEY, password, firstname, lastname, mail, memberof)")
        for person in PEOPLE:
            self.put(person)

    def command(self) -> list[str]:
        self._root = installed()
        (self.folder / "lemonldap-ng.ini").write_text(_INI.format(folder=self.folder, root=self._root))
        (self.folder / "conf/lmConf-1.json").write_text(json.dumps(self._configuration()))
        application = self.folder / "portal.psgi"
        application.write_text("use Lemonldap::NG::Portal::Main;\nLemonldap::NG::Portal::Main->run({});\n")
        perl = install.program("perl", "Debian and Ubuntu have it")
        serve = [perl, str(self._root / "usr/bin/plackup"), "--env", "deployment", "--host", "127.0.0.1"]
        return [*serve, "--port", str(self.port), str(application)]

    def environment(self) -> dict[str, str]:
        usr = self._root / "usr"
        modules = [usr / "share/perl5", *sorted(usr.glob("lib/*/perl5/*")), *sorted(usr.glob("lib/*/perl5"))]
        return {
            "PERL5LIB": ":".join(str(folder) for folder in modules),
            "LD_LIBRARY_PATH": install.libraries(self._root),
            "LLNG_DEFAULTCONFFILE": str(self.folder / "lemonldap-ng.ini"),
        }

    def put(self, person: Person) -> None:
        row = (person.login, person.password, person.first_name, person.last_name, person.email)
        with sqlite3.connect(self._people) as database:
            database.execute("REPLACE INTO people VALUES (?, ?, ?, ?, ?, ?)", (*row, "; ".join(person.groups)))

    def register(self, redirect_uri: str) -> None:
        self._redirect_uris.append(redirect_uri)
        self.stop()
        self.start()

    def rotate(self) -> None:
        self.stop()
        self._openid_pair = certificates.make(self.folder, f"{self.name}-openid-{secrets.token_hex(4)}")
        self.start()

    def serve(self, metadata: str, *, encrypt: bool = False, sign: bool = True) -> None:
        """Restart for a service provider, with its metadata."""
        options = {
            "samlSPMetaDataOptionsNameIDFormat": "email",
            "samlSPMetaDataOptionsSignSSOMessage": int(sign),
            "samlSPMetaDataOptionsCheckSSOMessageSignature": 1,
            "samlSPMetaDataOptionsEncryptionMode": "assertion" if encrypt else "none",
            "samlSPMetaDataOptionsEnableIDPInitiatedURL": 1,
            "samlSPMetaDataOptionsRule": _RULE,
        }
        self._service_provider = {
            "samlSPMetaDataXML": {"manifest": {"samlSPMetaDataXML": metadata}},
            "samlSPMetaDataOptions": {"manifest": options},
            "samlSPMetaDataExportedAttributes": {"manifest": _ATTRIBUTES},
        }
        self.stop()
        self.start()

    def idp_initiated(self) -> Step:
        """Click the service provider's tile."""
        return Step("GET", f"{self.base}/saml/singleSignOn?IDPInitiated=1&spConfKey=manifest")

    def deny(self, shown: Shown) -> Step:
        """Reject the consent page as the person, in the same way as its script."""
        [form] = shown.page.forms
        return shown.send(form, confirm=f"-{form.fields['confirm']}")

    def answer(self, browser: Browser, shown: Shown, person: Person) -> Step:
        [form] = shown.page.forms
        return (
            shown.send(form, user=person.login, password=person.password) if form.of("password") else shown.send(form)
        )

    def _configuration(self) -> dict[str, Any]:
        key, certificate = self.key.read_text(), self.certificate.read_text()
        people = f"dbi:SQLite:dbname={self._people}"
        columns = ("mail", "firstname", "lastname", "memberof")
        sessions = {
            "Directory": str(self.folder / "sessions"),
            "LockDirectory": str(self.folder / "locks"),
            "generateModule": "Lemonldap::NG::Common::Apache::Session::Generate::SHA256",
        }
        return {
            "cfgNum": 1,
            "cfgAuthor": "an operator",
            "cfgDate": 1,
            "portal": self.issuer,
            "domain": "127.0.0.1",
            "key": "the key of cookies that live as long as a test",
            "securedCookie": 0,
            "sameSite": "Lax",
            "locationRules": {},
            "exportedHeaders": {},
            "globalStorage": "Apache::Session::File",
            "globalStorageOptions": sessions,
            **dict.fromkeys(("captcha_login_enabled", "captcha_mail_enabled", "captcha_register_enabled"), 0),
            "authentication": "DBI",
            "userDB": "Same",
            "passwordDB": "Null",
            "registerDB": "Null",
            "dbiAuthChain": people,
            "dbiUserChain": people,
            "dbiAuthTable": "people",
            "dbiUserTable": "people",
            "dbiAuthLoginCol": "login",
            "dbiAuthPasswordCol": "password",
            "userPivot": "login",
            "exportedVars": {"uid": "login"},
            "dbiExportedVars": {column: column for column in columns},
            "whatToTrace": "_user",
            "multiValuesSeparator": "; ",
            **self._openid(*(file.read_text() for file in self._openid_pair)),
            "issuerDBSAMLActivation": 1,
            "samlServicePrivateKeySig": key,
            "samlServicePublicKeySig": certificate,
            **self._service_provider,
        }

    def _openid(self, key: str, certificate: str) -> dict[str, Any]:
        options = {
            "oidcRPMetaDataOptionsClientID": CLIENT,
            "oidcRPMetaDataOptionsClientSecret": SECRET,
            "oidcRPMetaDataOptionsRedirectUris": " ".join(self._redirect_uris),
            "oidcRPMetaDataOptionsIDTokenSignAlg": "PS512",
            "oidcRPMetaDataOptionsRequirePKCE": 1,
            "oidcRPMetaDataOptionsRule": _RULE,
        }
        claims = {
            "email": "mail",
            "given_name": "firstname",
            "family_name": "lastname",
            "groups": "memberof;string;always",
        }
        return {
            "issuerDBOpenIDConnectActivation": 1,
            "oidcServiceMetaDataIssuer": self.issuer,
            "oidcServicePrivateKeySig": key,
            "oidcServicePublicKeySig": certificate,
            "oidcServiceKeyIdSig": "the-key",
            "oidcRPMetaDataOptions": {"manifest": options},
            "oidcRPMetaDataExportedVars": {"manifest": claims},
            "oidcRPMetaDataOptionsExtraClaims": {"manifest": {"profile": "given_name family_name groups"}},
        }
