"""``provider add --print-callback`` and ``provider callbacks`` show the address to register, and who must act."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.interop.microsoft.stand_in import standin
from tests.processes.test_provider_commands import dynamics, entra
from tests.support.commands import done_here as done
from tests.support.commands import installation
from tests.support.commands import run_here as run
from tests.support.oidc_op import Op, provider
from tests.support.oidc_socket import Answer
from tests.support.saml_idp import Idp

CLIENT = ("--client", "acme")
BASE = "http://127.0.0.1:8080/api/client/auth"
SHARED = f"{BASE}/oidc/callback"
NO_ISS = "the provider doesn't announce iss, so it no longer has the shared address; "


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    done(installation(tmp_path), "client", "create", "acme")
    return tmp_path


@pytest.fixture
def op() -> Iterator[Op]:
    with provider() as standing_in:
        yield standing_in


def add(folder: Path, name: str, body: dict[str, Any], client: str = "acme", *more: str, **settings: str) -> str:
    (folder / "provider.json").write_text(json.dumps({"defaultRoles": ["Viewer"], **body}))
    return done(folder, "provider", "add", name, "--client", client, "--json", "provider.json", *more, **settings)


def of(op: Op, *, marked: bool = False) -> dict[str, Any]:
    return {"oidc": {"issuer": op.issuer, "clientId": op.client_id, "sharedCallback": marked}}


def test_the_address_is_printed_before_there_is_a_provider(folder: Path, op: Op) -> None:
    printed = done(folder, "provider", "add", "okta", *CLIENT, "--print-callback")
    assert printed == f"{SHARED}/acme/okta\n"
    assert done(folder, "provider", "add", "okta", "--client", "1", "--print-callback") == printed
    assert done(folder, "provider", "list", *CLIENT) == ""
    assert f"  callbackUrl: {printed}" in add(folder, "okta", of(op))
    public = {"MANIFEST_PUBLIC_URL": "https://auth.example.com/"}
    elsewhere = done(folder, "provider", "add", "okta", *CLIENT, "--print-callback", **public)
    assert elsewhere == "https://auth.example.com/api/client/auth/oidc/callback/acme/okta\n"


def test_an_address_that_there_will_never_be_is_not_printed(folder: Path) -> None:
    saml = ("--metadata", "idp.xml")
    for name, client, more, sentence in (
        ("Okta", "acme", (), "name: Must be 1 to 63 lowercase letters"),
        ("okta", "acmee", (), "no client has the identifier acmee"),
        ("okta", "acme", saml, "--print-callback: only OpenID providers"),
    ):
        refused = run(folder, "provider", "add", name, "--client", client, "--print-callback", *more)
        assert (refused.status, refused.out) == (1, "")
        assert refused.line.startswith(sentence), refused.line


def test_every_address_is_printed_and_who_must_act(folder: Path, op: Op) -> None:
    done(folder, "client", "create", "globex")
    with provider(without_iss=True) as silent, provider() as gone, standin() as microsoft:
        op.registered = silent.registered = {SHARED, f"{SHARED}/globex/own"}
        add(folder, "marked", of(op, marked=True))
        add(folder, "silent", of(silent, marked=True))
        add(folder, "unsure", of(gone, marked=True))
        add(folder, "crm", dynamics(microsoft))
        add(folder, "power-apps", entra(microsoft))
        idp = Idp()
        given = idp.metadata("https://idp.example/sso").decode()
        done(folder, "provider", "add", "adfs", *CLIENT, "--metadata", "-", "--default-role", "Viewer", given=given)
        add(folder, "own", of(op), "globex")
        add(folder, "unregistered", of(silent), "globex")
        gone.answers["discovery"] = Answer(503)
        printed = run(folder, "provider", "callbacks")
        assert printed.status == 0, printed.err
        lines = [line.split("\t") for line in printed.out.partition("\n\n")[0].splitlines()]
        unknown = f"unknown: {gone.issuer}/.well-known/openid-configuration: returned 503; if it doesn't announce iss, "
        assert sorted(lines) == sorted(
            [
                ["acme", "marked", "oidc", SHARED, "shared, registered"],
                ["acme", "silent", "oidc", f"{SHARED}/acme/silent", "own, not registered"],
                ["acme", "unsure", "oidc", f"{SHARED}/acme/unsure", f"{unknown}register {SHARED}/acme/unsure"],
                ["acme", "crm", "dynamics", f"{BASE}/ms-dynamics/callback", "of its own kind"],
                ["acme", "power-apps", "entra", "-", "needs none"],
                ["acme", "adfs", "saml", f"{BASE}/okta-saml", "of its own kind"],
                ["globex", "own", "oidc", f"{SHARED}/globex/own", "own, registered"],
                ["globex", "unregistered", "oidc", f"{SHARED}/globex/unregistered", "own, not registered"],
            ]
        )
        assert printed.out.partition("\n\n")[2] == (
            "Action required: 2\n"
            f"  silent of acme: {NO_ISS}register {SHARED}/acme/silent\n"
            f"  unregistered of globex: register {SHARED}/globex/unregistered\n"
        )
        assert {asked.endpoint for asked in op.asked} == {"discovery", "authorize"}  # each client fetches on its own
        assert op.count("authorize") == 2


def test_once_the_address_is_registered_no_one_must_act(folder: Path, op: Op) -> None:
    op.without_iss, op.registered = True, {SHARED}
    add(folder, "company", of(op, marked=True))
    assert "Action required: 1\n" in done(folder, "provider", "callbacks")
    op.registered = {f"{SHARED}/acme/company"}
    assert done(folder, "provider", "callbacks").endswith("\nNo action required.\n")


def test_where_it_cannot_be_told_a_marked_provider_that_announces_no_iss_must_act(folder: Path, op: Op) -> None:
    op.without_iss = True
    op.answers["authorize"] = Answer(200, {}, b"<html>")
    add(folder, "company", of(op, marked=True))
    add(folder, "other", of(op))
    printed = done(folder, "provider", "callbacks")
    assert "own, unknown: the provider returns status 200" in printed
    assert printed.endswith(f"Action required: 1\n  company of acme: {NO_ISS}register {SHARED}/acme/company\n")


def test_without_providers_nothing_is_printed(folder: Path) -> None:
    assert done(folder, "provider", "callbacks") == ""
