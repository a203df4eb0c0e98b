"""``license keygen|issue|inspect``: the vendor's commands create what the server accepts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from manifest_auth.licence import public_key, verify
from tests.support.commands import done_here as done
from tests.support.commands import run_here as run
from tests.support.matrix import matrix

ISSUE = ("license", "issue", "--customer", "Initech Ltd", "--id", "L-7", "--days", "30")


@pytest.fixture
def pair(tmp_path: Path) -> dict[str, str]:
    """A private and a public key."""
    out = done(tmp_path, "license", "keygen")
    return dict(line.split() for line in out.splitlines())


def test_an_issued_key_is_genuine_and_can_be_inspected(tmp_path: Path, pair: dict[str, str]) -> None:
    more = ("--full", "10", "--operate", "3", "--feature", "sso", "--feature", "saml", "--installation", "abc")
    text = done(tmp_path, *ISSUE, *more, "--grace-days", "7", given=pair["private"] + "\n").strip()
    found = verify(text, [public_key(pair["public"])])
    assert (found.id, found.customer, found.installation, found.grace_days) == ("L-7", "Initech Ltd", "abc", 7)
    assert (found.seats.full, found.seats.operate, found.seats.connect) == (10, 3, 0)
    assert found.features == ("sso", "saml")
    assert found.expires_at - found.issued_at == 30 * 86_400
    out = done(tmp_path, "license", "inspect", given=text, MANIFEST_LICENSE_PUBLIC_KEY=pair["public"])
    shown = json.loads(out[: out.rindex("}") + 1])
    assert shown["customer"] == "Initech Ltd"
    assert out.splitlines()[-1].startswith("issued 20")


def test_two_pairs_differ(tmp_path: Path, pair: dict[str, str]) -> None:
    assert pair["private"] not in done(tmp_path, "license", "keygen")


def test_a_key_of_someone_else_is_told_from_a_genuine_one(tmp_path: Path, pair: dict[str, str]) -> None:
    other = done(tmp_path, "license", "keygen").split()[1]
    text = done(tmp_path, *ISSUE, given=other)
    result = run(tmp_path, "license", "inspect", given=text, MANIFEST_LICENSE_PUBLIC_KEY=pair["public"])
    why = "not a valid license: no key in MANIFEST_LICENSE_PUBLIC_KEY signed it"
    assert (result.status, result.out, result.line) == (1, "", why)


@matrix("given", ["", "abc\n", "x" * 44, "AAAA" * 20])
def test_a_wrong_private_key_is_one_line(tmp_path: Path, given: str) -> None:
    result = run(tmp_path, *ISSUE, given=given)
    assert (result.status, result.out) == (2, "")
    assert result.line.startswith("standard input: must be the private key")


@matrix("more", [("--days", "0"), ("--days", "-1"), ("--full", "-1"), ("--grace-days", "9999")])
def test_a_license_that_no_server_would_accept_is_not_issued(
    tmp_path: Path, pair: dict[str, str], more: tuple[str, str]
) -> None:
    result = run(tmp_path, *ISSUE, *more, given=pair["private"])
    assert (result.status, result.out) == (2, "")
    assert more[0] in result.err


@matrix("key", ["", "abc"])
def test_inspect_needs_a_public_key(tmp_path: Path, key: str) -> None:
    result = run(tmp_path, "license", "inspect", given="x", MANIFEST_LICENSE_PUBLIC_KEY=key)
    assert result.status == 2
    assert result.line.startswith("MANIFEST_LICENSE_PUBLIC_KEY: ")


def test_install_and_status_show_what_is_in_force(tmp_path: Path, pair: dict[str, str]) -> None:
    settings = {"MANIFEST_DEPLOYMENT": "on-premise", "MANIFEST_LICENSE_PUBLIC_KEY": pair["public"]}
    before = json.loads(done(tmp_path, "license", "status", **settings))
    assert (before["state"], before["seatsUsed"]["full"]) == ("missing", 0)
    bound = ("--installation", before["installationId"], "--full", "1")
    text = done(tmp_path, *ISSUE, *bound, given=pair["private"])
    assert json.loads(done(tmp_path, "license", "install", given=text, **settings))["state"] == "valid"
    after = json.loads(done(tmp_path, "license", "status", **settings))
    assert (after["licenseId"], after["seatsFree"]) == ("L-7", {"full": 1, "operate": 1, "connect": 1})
    other = done(tmp_path, *ISSUE, "--installation", "elsewhere", given=pair["private"])
    result = run(tmp_path, "license", "install", given=other, **settings)
    assert (result.status, result.line) == (1, "this license isn't accepted here: bound to another installation")
    assert json.loads(done(tmp_path, "license", "status", **settings)) == after


def test_a_license_that_revokes_others_is_issued_but_not_one_that_revokes_itself(
    tmp_path: Path, pair: dict[str, str]
) -> None:
    text = done(tmp_path, *ISSUE, "--revoke", "L-5", "--revoke", "L-6", given=pair["private"]).strip()
    assert verify(text, [public_key(pair["public"])]).revokes == ("L-5", "L-6")
    for more, sentence in (
        (("--revoke", "L-7"), "--revoke: a license can't revoke itself"),
        (("--revoke", ""), "no server would accept this license: members"),
        (("--feature", "x" * 9000), "no server would accept this license: it has more than 8192"),
    ):
        result = run(tmp_path, *ISSUE, *more, given=pair["private"])
        assert (result.status, result.out) == (2, "")
        assert result.line.startswith(sentence)


def test_doctor_says_what_to_do_about_the_license(tmp_path: Path, pair: dict[str, str]) -> None:
    settings = {"MANIFEST_DEPLOYMENT": "on-premise", "MANIFEST_LICENSE_PUBLIC_KEY": pair["public"]}
    done(tmp_path, "client", "create", "acme", **settings)

    def findings() -> list[str]:
        lines = run(tmp_path, "doctor", **settings).out.splitlines()
        return [line for line in lines if line[7:].startswith(("license", "seats"))]

    install = "to install a valid one, run manifest-auth license install"
    assert findings() == [f" BAD   license: none is installed, so no user can sign in; {install}"]
    user = ("user", "create", "ada@acme.example", "--client", "acme", "--role", "Admin", "--password-stdin")
    refused = run(tmp_path, *user, given="kestrel-harbor-21-violet\n", **settings)
    assert (refused.status, refused.line) == (1, "A license is required")
    for days, begins in (("300", "  ok   license: L-7, valid"), ("29", " note  license: expires at 20")):
        text = done(tmp_path, "license", "issue", "--customer", "x", "--id", "L-7", "--days", days, "--full", "1",
                    given=pair["private"])  # fmt: skip
        done(tmp_path, "license", "install", given=text, **settings)
        [finding] = findings()
        assert finding.startswith(begins)
    done(tmp_path, *user, given="kestrel-harbor-21-violet\n", **settings)
    assert findings()[1] == " note  seats: all are in use, so no users can be added"
