"""``domain vouch|release``, ``claims list``, and ``doctor`` let the operator decide about clients' claims."""

from __future__ import annotations

import json
from pathlib import Path

from tests.support.commands import done_here as done
from tests.support.commands import run_here as run

DOMAIN = ("acme.example", "--client", "acme")
REASON = ("--reason", "their contract says so")


def lines(folder: Path, *options: str) -> list[list[str]]:
    return [line.split("\t") for line in done(folder, "claims", "list", *options).splitlines()]


def add(folder: Path, client: str, *more: str) -> None:
    body = {"domains": ["acme.example"], "oidc": {"issuer": "https://acme.okta.com", "clientId": "0oa1"}}
    (folder / "provider.json").write_text(json.dumps(body))
    done(folder, "provider", "add", "okta", "--client", client, "--json", "provider.json", *more)


def claims_in_doctor(folder: Path, **settings: str) -> list[str]:
    found = run(folder, "doctor", **settings).out.splitlines()
    return [line[7:].removeprefix("claims: ") for line in found if line[7:].startswith("claims")]


def test_a_domain_is_vouched_for_and_released(folder: Path) -> None:
    assert "acme.example" in done(folder, "domain", "vouch", *DOMAIN, *REASON)
    assert lines(folder) == [["domain", "acme.example", "acme", "proved", "vouched", "", REASON[1]]]
    refused = run(folder, "domain", "vouch", "acme.example", "--client", "globex", *REASON)
    assert (refused.status, refused.line) == (1, "domain: Another client of this installation has this domain")
    assert run(folder, "domain", "release", "acme.example", "--client", "globex").status == 1
    done(folder, "domain", "release", *DOMAIN)
    assert lines(folder) == []
    done(folder, "domain", "vouch", "acme.example", "--client", "globex", *REASON)
    assert [line[2] for line in lines(folder)] == ["globex"]


def test_what_cannot_be_vouched_for_says_why(folder: Path) -> None:
    for domain, client, reason, why in (
        ("co.uk", "acme", REASON[1], "public suffix"),
        ("Acme.example", "acme", REASON[1], "lowercase"),
        ("acme.example", "acme", "short", "at least 10"),
        ("acme.example", "nobody", REASON[1], "no client has the identifier nobody"),
    ):
        found = run(folder, "domain", "vouch", domain, "--client", client, "--reason", reason)
        assert (found.status, why in found.line) == (1, True), found.line
    assert lines(folder) == []


def test_a_provider_is_added_with_and_without_vouching(folder: Path) -> None:
    add(folder, "acme")
    assert lines(folder) == [["domain", "acme.example", "acme", "pending", "", "", ""]]
    add(folder, "globex", "--vouch")
    assert [line[2:5] for line in lines(folder)] == [["acme", "pending", ""], ["globex", "proved", "vouched"]]
    assert [line[2] for line in lines(folder, "--open")] == ["acme"]


def test_doctor_says_what_waits_for_the_operator(folder: Path) -> None:
    assert claims_in_doctor(folder) == ["none need a decision"]
    add(folder, "acme")
    vouching_only = claims_in_doctor(folder, MANIFEST_DOMAIN_PROOF="vouch")
    assert vouching_only == claims_in_doctor(folder)
    [said] = vouching_only
    assert "manifest-auth domain vouch acme.example --client acme" in said
    done(folder, "domain", "vouch", *DOMAIN, *REASON)
    assert claims_in_doctor(folder) == ["none need a decision"]
