"""The redirect URI of a sign-in, and the responses that match it."""

from __future__ import annotations

from manifest_auth.protocols.oidc import Callback, CallbackAddresses
from tests.protocols.oidc.relying_party import CALLBACK, SHARED, RelyingParty
from tests.runtime.outgoing.outgoing_calls import TENANT
from tests.support.matrix import matrix

ISSUER = "https://idp.example"


@matrix(
    ("marked", "announced", "address"),
    [(False, False, CALLBACK), (False, True, CALLBACK), (True, False, CALLBACK), (True, True, SHARED)],
)
async def test_the_shared_address_is_for_marked_providers_that_announce_iss(
    rp: RelyingParty, marked: bool, announced: bool, address: str
) -> None:
    rp.op.without_iss = not announced
    found = await rp.client.discover(rp.op.issuer, rp.outgoing.deadline(TENANT))
    chosen = CallbackAddresses(CALLBACK, SHARED if marked else None).chosen(found)
    assert chosen == Callback(address, iss_required=announced)


@matrix("announced", ["true", 1, [True], {}, False, None])
async def test_only_a_plain_true_announces_iss(rp: RelyingParty, announced: object) -> None:
    rp.op.announced["authorization_response_iss_parameter_supported"] = announced
    found = await rp.client.discover(rp.op.issuer, rp.outgoing.deadline(TENANT))
    assert CallbackAddresses(CALLBACK, SHARED).chosen(found) == Callback(CALLBACK, iss_required=False)


@matrix("required", [True, False])
@matrix(
    ("came_to", "iss", "fits"),
    [
        (CALLBACK, ISSUER, True),
        (CALLBACK, "", False),
        (CALLBACK, f"{ISSUER}/", False),
        (CALLBACK, ISSUER.upper(), False),
        (CALLBACK, "https://evil.example", False),
        (SHARED, ISSUER, False),
        (SHARED, None, False),
        (f"{CALLBACK}/", ISSUER, False),
        ("", ISSUER, False),
    ],
)
def test_an_answer_fits_by_its_address_and_its_issuer(
    came_to: str, iss: str | None, fits: bool, required: bool
) -> None:
    assert Callback(CALLBACK, required).matches(came_to, iss, lambda: ISSUER) is fits


@matrix("required", [True, False])
def test_without_iss_an_answer_fits_where_none_is_required(required: bool) -> None:
    assert Callback(CALLBACK, required).matches(CALLBACK, None, lambda: ISSUER) is not required
