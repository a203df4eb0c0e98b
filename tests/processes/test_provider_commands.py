"""``provider add|list|test`` manages every kind of provider on the command line; covers its messages."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.interop.microsoft.people import OUR_SECRET, OURS, POWER_APP
from tests.interop.microsoft.stand_in import Standin, standin
from tests.support.commands import Result, installation
from tests.support.commands import done_here as done
from tests.support.commands import run_here as run
from tests.support.matrix import matrix
from tests.support.oidc_socket import Answer
from tests.support.saml_idp import Idp

CLIENT = ("--client", "acme")
ORGANIZATION = "https://contoso.crm.dynamics.com"


@pytest.fixture
def microsoft() -> Iterator[Standin]:
    with standin() as found:
        yield found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    done(installation(tmp_path), "client", "create", "acme")
    return tmp_path


def add(folder: Path, name: str, body: dict[str, Any], *more: str, given: str = "", **settings: str) -> Result:
    """``provider add NAME --json FILE``."""
    (folder / "provider.json").write_text(json.dumps(body))
    return run(folder, "provider", "add", name, *CLIENT, "--json", "provider.json", *more, given=given, **settings)


def dynamics(microsoft: Standin, **members: Any) -> dict[str, Any]:
    directory = microsoft.named("contoso").id
    settings = {"directory": directory, "clientId": OURS, "organization": ORGANIZATION, **members}
    return {"name": "of-the-file", "displayName": "Dynamics", "defaultRoles": ["Viewer"], "dynamics": settings}


def entra(microsoft: Standin, **members: Any) -> dict[str, Any]:
    settings = {"directory": microsoft.named("contoso").id, "applications": [POWER_APP], **members}
    return {"defaultRoles": ["Operator"], "entra": settings}


def test_an_openid_provider_by_options(folder: Path) -> None:
    options = ("--issuer", "https://acme.okta.com", "--client-id", "0oa1", "--client-secret-stdin", "--create-users",
               "--domain", "acme.example", "--group-role", "Authors=Author", "--default-role", "Viewer",
               "--return-address", "https://app.acme.example/in")  # fmt: skip
    told = done(folder, "provider", "add", "okta", *CLIENT, *options, given="secret\n")
    assert "  callbackUrl: http://127.0.0.1:8080/api/client/auth/oidc/callback/acme/okta\n" in told
    assert "sign in at http://127.0.0.1:8080/api/client/auth/oidc?client=acme&provider=okta\n" in told
    assert done(folder, "provider", "list", *CLIENT) == "okta\toidc\ton\thttps://acme.okta.com\n"


def test_a_saml_provider_by_its_metadata(folder: Path) -> None:
    idp = Idp()
    told = done(folder, "provider", "add", "adfs", *CLIENT, "--metadata", "-", "--default-role", "Viewer",
                given=idp.metadata("https://idp.example/sso").decode())  # fmt: skip
    assert "  acsUrl: http://127.0.0.1:8080/api/client/auth/okta-saml\n" in told
    assert done(folder, "provider", "list", *CLIENT) == f"adfs\tsaml\ton\t{idp.issuer}\n"


def test_a_dynamics_provider_by_its_settings(folder: Path, microsoft: Standin) -> None:
    added = add(folder, "crm", dynamics(microsoft), "--client-secret-stdin", given=f"{OUR_SECRET}\n")
    assert added.status == 0, added.err
    assert OUR_SECRET not in added.out + added.err
    assert "  callbackUrl: http://127.0.0.1:8080/api/client/auth/ms-dynamics/callback\n" in added.out
    assert "sign in at http://127.0.0.1:8080/api/client/auth/ms-dynamics?client=acme&provider=crm\n" in added.out
    told = run(folder, "provider", "test", "crm", *CLIENT, **microsoft.settings)
    assert told.status == 0, told.out
    assert f"  ok   The environment {ORGANIZATION} exists and belongs to this directory.\n" in told.out
    assert "  ?    Microsoft reports no problem with the application and its secret so far. " in told.out
    microsoft.answers["discovery"] = Answer(raw=b"")
    told = run(folder, "provider", "test", "crm", *CLIENT, **microsoft.settings)
    assert told.status == 1
    assert " BAD   Microsoft's login service can't be reached: " in told.out


def test_an_entra_provider_by_its_settings(folder: Path, microsoft: Standin) -> None:
    added = add(folder, "power-apps", entra(microsoft))
    assert (added.status, added.out) == (0, "Created provider power-apps (number 1).\n")
    told = run(folder, "provider", "test", "power-apps", *CLIENT, **microsoft.settings)
    assert told.status == 0, told.out
    assert {line.split()[0] for line in told.out.splitlines()} == {"ok"}


@matrix(
    ("body", "sentence"),
    [
        ({"entra": {"directory": "contoso", "applications": [POWER_APP]}}, "entra.directory: "),
        ({"entra": {}}, "entra.directory: Required"),
        ({}, "oidc: Exactly one of oidc, saml, dynamics, entra is required"),
    ],
)
def test_settings_that_are_no_good_are_told(folder: Path, body: dict[str, Any], sentence: str) -> None:
    refused = add(folder, "wrong", body)
    assert (refused.status, sentence in refused.line) == (1, True), refused.err
    assert done(folder, "provider", "list", *CLIENT) == ""


def test_an_environment_is_of_the_installations_cloud_or_of_the_providers_own(folder: Path, microsoft: Standin) -> None:
    sentence = "dynamics.organization: Must be the URL of an environment in the provider's cloud"
    for members, settings in (
        ({"organization": "https://contoso.crm.dynamics.com.evil.example"}, {}),
        ({}, {"MANIFEST_MICROSOFT_CLOUD": "us-gov"}),
    ):
        refused = add(folder, "crm", dynamics(microsoft, **members), **settings)
        assert (refused.status, refused.line.startswith(sentence)) == (1, True), refused.err
    gov = dynamics(microsoft, organization="https://contoso.crm.microsoftdynamics.us")
    assert add(folder, "crm", gov, MANIFEST_MICROSOFT_CLOUD="us-gov").status == 0


def test_a_file_and_options_do_not_mix(folder: Path, microsoft: Standin) -> None:
    for option in (("--create-users",), ("--domain", "acme.example"), ("--issuer", "https://acme.okta.com")):
        refused = add(folder, "both", entra(microsoft), *option)
        assert (refused.status, refused.line.startswith("--file: it contains all settings")) == (1, True)
    assert done(folder, "provider", "list", *CLIENT) == ""


def test_a_file_that_is_no_json_object(folder: Path) -> None:
    for text, line in (("[]", "--file provider.json: must be a JSON object"), ("{", "The body isn't valid JSON")):
        (folder / "provider.json").write_text(text)
        refused = run(folder, "provider", "add", "none", *CLIENT, "--json", "provider.json")
        assert (refused.status, refused.line) == (1, line)
    missing = run(folder, "provider", "add", "none", *CLIENT, "--json", "missing.json")
    assert (missing.status, missing.line) == (1, "missing.json: No such file or directory")
