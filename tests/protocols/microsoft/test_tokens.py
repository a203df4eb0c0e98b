"""Claims of a Microsoft token compared with what a provider accepts, with one change to a valid token at a time."""

from __future__ import annotations

from typing import Any

from manifest_auth.protocols.microsoft import (
    CLOUDS,
    CONSUMERS,
    GRAPH_ID,
    Accepted,
    MicrosoftRefused,
    application_of,
    check,
    directory_of,
    read,
)
from tests.interop.microsoft import tokens
from tests.interop.microsoft.people import OTHER_APP, OUR_URI, OURS, POWER_APP, contoso
from tests.support.matrix import matrix

NOW_MS = 1_800_000_000_000
NOW = NOW_MS // 1000
CONTOSO, FABRIKAM = "c0c0c0c0-1111-4111-8111-111111111111", "fafafafa-2222-4222-8222-222222222222"
ACCEPTED = Accepted(
    directory=CONTOSO,
    cloud=CLOUDS["global"],
    applications=frozenset({POWER_APP}),
    audiences=frozenset({OURS, f"api://{OURS}", OUR_URI}),
    scopes=frozenset({"access_as_user"}),
    graph_tokens=True,
    guests=False,
)
KINDS = ("graph", "api", "api-v1")


def good(kind: str, **claims: Any) -> dict[str, Any]:
    """The claims of Alice's token; ``...`` removes one."""
    usual = tokens.claims_of(kind, contoso(), "alice", POWER_APP, NOW, 4500)
    return {name: value for name, value in {**usual, **claims}.items() if value is not ...}


def why_not(payload: dict[str, Any], now_ms: int = NOW_MS, **accepted: Any) -> str:
    """The first word of the rejection's reason; empty for an accepted token."""
    try:
        check(payload, ACCEPTED._replace(**accepted), now_ms)
    except MicrosoftRefused as refused:
        return str(refused).partition(":")[0]
    return ""


@matrix("kind", KINDS)
def test_what_is_found_in_a_good_one(kind: str) -> None:
    payload = good(kind)
    found = check(payload, ACCEPTED, NOW_MS)
    assert found.directory == CONTOSO
    assert found.person == payload["oid"]
    assert found.application == POWER_APP
    assert (found.audience, found.issuer, found.version) == (payload["aud"], payload["iss"], payload["ver"])
    assert found.expires_at == NOW + 4500
    assert found.everything == payload


#: The rejected claims, the check that rejects them, and the kinds of tokens.
TABLE: list[tuple[str, dict[str, Any], tuple[str, ...]]] = [
    ("tid", {"tid": FABRIKAM}, KINDS),
    ("tid", {"tid": ...}, KINDS),
    ("tid", {"tid": [CONTOSO]}, KINDS),
    ("iss", {"iss": ...}, KINDS),
    ("iss", {"iss": f"https://login.microsoftonline.com/{FABRIKAM}/v2.0"}, KINDS),
    ("iss", {"iss": f"https://sts.windows.net/{FABRIKAM}/"}, KINDS),
    ("iss", {"iss": "https://login.microsoftonline.com/{tenantid}/v2.0"}, KINDS),
    ("iss", {"iss": f"https://login.microsoftonline.us/{CONTOSO}/v2.0"}, KINDS),
    ("iss", {"iss": f"https://sts.chinacloudapi.cn/{CONTOSO}/"}, KINDS),
    ("iss", {"ver": "1.0"}, ("api",)),
    ("iss", {"ver": "2.0"}, ("graph", "api-v1")),
    ("iss", {"ver": ...}, KINDS),
    ("iss", {"ver": 2.0}, KINDS),
    ("iss", {"ver": ["1.0"]}, KINDS),
    ("aud", {"aud": ...}, KINDS),
    ("aud", {"aud": [OURS]}, KINDS),
    ("aud", {"aud": POWER_APP}, KINDS),
    ("aud", {"aud": "https://contoso.crm.dynamics.com"}, KINDS),
    ("aud", {"aud": "https://graph.microsoft.us"}, KINDS),
    ("aud", {"aud": f"{OUR_URI}/"}, KINDS),
    ("appid, azp", {"appid": ..., "azp": ...}, KINDS),
    ("appid, azp", {"appid": ..., "azp": OTHER_APP}, KINDS),
    ("appid, azp", {"appid": OTHER_APP, "azp": ...}, KINDS),
    ("appid, azp", {"appid": OTHER_APP, "azp": POWER_APP}, KINDS),
    ("appid, azp", {"appid": POWER_APP, "azp": OTHER_APP}, KINDS),
    ("appid, azp", {"appid": POWER_APP, "azp": None}, KINDS),
    ("appid, azp", {"appid": [POWER_APP], "azp": ...}, KINDS),
    ("oid", {"oid": ...}, KINDS),
    ("oid", {"oid": "alice@contoso.example"}, KINDS),
    ("oid", {"oid": 7}, KINDS),
    ("scp", {"scp": ...}, KINDS),
    ("scp", {"scp": ""}, KINDS),
    ("scp", {"scp": ["access_as_user"]}, KINDS),
    ("scp", {"scp": ..., "roles": ["access_as_user"]}, KINDS),
    ("scp", {"idtyp": "app"}, KINDS),
    ("scp", {"idtyp": None}, KINDS),
    ("scp", {"scp": "User.Read"}, ("api", "api-v1")),
    ("idp, acct", {"acct": 1}, KINDS),
    ("idp, acct", {"acct": "1"}, KINDS),
    ("idp, acct", {"acct": None}, KINDS),
    ("idp, acct", {"idp": "live.com"}, KINDS),
    ("idp, acct", {"idp": f"https://sts.windows.net/{FABRIKAM}/"}, KINDS),
    ("idp, acct", {"idp": f"https://idp.partner.example/{CONTOSO}/"}, KINDS),
    ("idp, acct", {"idp": None}, KINDS),
    ("exp", {"exp": ...}, KINDS),
    ("exp", {"exp": None}, KINDS),
    ("exp", {"exp": str(NOW + 60)}, KINDS),
    ("exp", {"exp": True}, KINDS),
    ("exp", {"exp": float("inf")}, KINDS),
    ("exp", {"exp": float("nan")}, KINDS),
    ("exp", {"exp": -1}, KINDS),
    ("exp", {"exp": 2**53}, KINDS),
    ("nbf", {"nbf": False}, KINDS),
    ("nbf", {"nbf": None}, KINDS),
    ("nbf, iat", {"nbf": NOW + 60.5}, KINDS),
    ("iat", {"iat": "now"}, KINDS),
    ("nbf, iat", {"iat": NOW + 61}, KINDS),
]


@matrix(("check_", "claims", "kinds"), TABLE)
def test_what_is_rejected_and_by_which_check(check_: str, claims: dict[str, Any], kinds: tuple[str, ...]) -> None:
    for kind in kinds:
        assert why_not(good(kind, **claims)) == check_


@matrix(
    "claims",
    [
        {"tid": CONTOSO.upper()},
        {"acct": 0, "idp": ""},
        {"acct": "0", "idp": f"https://login.microsoftonline.com/{CONTOSO}/v2.0"},
        {"idp": f"https://sts.windows.net/{CONTOSO}/"},
        {"idtyp": "user"},
        {"idtyp": ...},
        {"nbf": NOW + 60, "iat": NOW + 60},
        {"nbf": ..., "iat": ...},
        {"exp": NOW - 86_400},  # expiration is checked after the signature
        {"exp": 2**53 - 1},
        {"sub": ..., "name": ..., "uti": ...},
        {"scp": "  access_as_user\tUser.Read "},
    ],
)
def test_unusual_but_valid_tokens_are_accepted(claims: dict[str, Any]) -> None:
    for kind in KINDS:
        assert why_not(good(kind, **claims)) == ""


def test_guests_where_the_client_wants_them() -> None:
    for kind in KINDS:
        for claims in ({"acct": 1}, {"idp": "live.com"}, {"acct": 1, "idp": f"https://sts.windows.net/{FABRIKAM}/"}):
            assert why_not(good(kind, **claims), guests=True) == ""


def test_personal_accounts_never() -> None:
    payload = good("api", tid=CONSUMERS, iss=f"https://login.microsoftonline.com/{CONSUMERS}/v2.0")
    assert why_not(payload, directory=CONSUMERS, guests=True) == "tid"


def test_graph_tokens_and_application_tokens_are_accepted_separately() -> None:
    assert why_not(good("graph"), graph_tokens=False) == "aud"
    assert why_not(good("api"), graph_tokens=False) == ""
    assert why_not(good("graph"), audiences=frozenset()) == ""
    assert why_not(good("api"), audiences=frozenset()) == "aud"


def test_only_application_tokens_need_a_scope() -> None:
    assert why_not(good("api", scp="anything"), scopes=frozenset()) == ""
    assert why_not(good("graph", scp="User.Read")) == ""
    assert why_not(good("api", scp="b"), scopes=frozenset({"a", "b"})) == ""


@matrix("name", ["us-gov", "us-dod", "china"])
def test_each_cloud_takes_its_own_tokens(name: str) -> None:
    cloud = CLOUDS[name]
    for claims in (
        {"iss": cloud.issuer_v1(CONTOSO), "aud": cloud.graph},
        {"iss": cloud.issuer_v1(CONTOSO), "aud": GRAPH_ID},
        {"iss": cloud.issuer_v2(CONTOSO), "ver": "2.0", "aud": OURS, "scp": "access_as_user"},
    ):
        assert why_not(good("graph", **claims), cloud=cloud) == ""
    assert why_not(good("api"), cloud=cloud) == "iss"
    assert why_not(good("graph", iss=cloud.issuer_v1(CONTOSO), aud="https://graph.microsoft.com"), cloud=cloud) == "aud"


def test_app_and_directory_of_a_token() -> None:
    assert application_of({"azp": POWER_APP.upper()}) == POWER_APP
    assert application_of({"azp": POWER_APP, "appid": POWER_APP.upper()}) == POWER_APP
    assert application_of({}) == application_of({"azp": POWER_APP, "appid": OTHER_APP}) == ""
    assert directory_of({"tid": CONTOSO.upper()}) == CONTOSO
    for tid in (None, "", "common", f"{CONTOSO}\n", f"{CONTOSO}0", 7, [CONTOSO]):
        assert directory_of({"tid": tid}) == ""


class TestReading:
    """Before anything is known about it: whether it can be a JWT, in its only valid spelling."""

    PAYLOAD = good("graph")
    TOKEN = tokens.signed(tokens.header_of("graph", CONTOSO), PAYLOAD, CONTOSO)

    def test_a_valid_token(self) -> None:
        assert read(self.TOKEN) == self.PAYLOAD

    @matrix(
        "spoil",
        [
            lambda h, p, s: f"{h}.{p}",
            lambda h, p, s: f"{h}.{p}.{s}.{s}",
            lambda h, p, s: f"{h}.{p}.",
            lambda h, p, s: f".{p}.{s}",
            lambda h, p, s: f"{h}..{s}",
            lambda h, p, s: f"{h}.{p}.{s}=",
            lambda h, p, s: f"{h}.{p}.{s}\n",
            lambda h, p, s: f" {h}.{p}.{s}",
            lambda h, p, s: f"{h}.{p}.+{s}",
            lambda h, p, s: f"{h}.{p}.\u00e9{s}",
            lambda h, p, s: f"{h}.{p}.{s}A"[: len(h) + len(p) + 2 + len(s) // 4 * 4 + 1],  # not a valid base64 length
            lambda h, p, s: tokens.with_spare_bits(f"{h}.{p}.{s}"),
            lambda h, p, s: f"{tokens.coded([])[:-1]}.{p}.{s}",
            lambda h, p, s: f"{tokens.b64(b'{')}.{p}.{s}",
            lambda h, p, s: f"{h}.{tokens.coded([1])}.{s}",
            lambda h, p, s: f"{h}.{tokens.b64(b'{} x')}.{s}",
            lambda h, p, s: f"{h}.{tokens.b64(bytes([0xFF]))}.{s}",
            lambda h, p, s: f"{h}.{tokens.b64(b'{' + b' ' * 20_000 + b'}')}.{s}",
        ],
        ids=range(18),
    )
    def test_an_invalid_token(self, spoil: Any) -> None:
        assert read(spoil(*self.TOKEN.split("."))) is None

    @matrix(
        "body",
        ['{"iss": 1, "iss": 2}', '{"a": {"b": 1, "b": 1}}', '{"a": NaN}', '{"a": 1e999}', '{"a": "\\udc00"}',
         '{"a":' * 33 + "1" + "}" * 33],
    )  # fmt: skip
    def test_what_two_readers_could_read_differently(self, body: str) -> None:
        header, _, signature = self.TOKEN.split(".")
        assert read(f"{header}.{tokens.b64(body.encode())}.{signature}") is None
        assert read(f"{tokens.b64(body.encode())}.{tokens.coded({})}.{signature}") is None
