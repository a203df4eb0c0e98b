"""The rules for new passwords, in the routes of system admins and users."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.accounts import hashes_counted, new_client, new_user, settle, trail
from tests.support.application import App, Reply
from tests.support.matrix import matrix
from tests.support.rules import rule

GOOD = "walrus-copper-lagoon-73"
DAY = 86_400
pytestmark = [pytest.mark.usefixtures("another_day"), pytest.mark.one_store]


@pytest.fixture(scope="module")
async def client(app: App) -> str:
    return await new_client(app)


async def create(app: App, client: str, password: str) -> Reply:
    body = {"email": f"p{app.clock.ms}-{id(password)}@x.example", "roles": ["Viewer"], "password": password}
    return await app.post(f"/api/admin/clients/{client}/users", body, token=await app.admin_token())


async def change(app: App, token: str, current: str, new: str, **options: Any) -> Reply:
    body = {"currentPassword": current, "newPassword": new}
    return await app.post("/api/client/auth/password", body, token=token, **options)


def refused_field(reply: Reply) -> str:
    assert (reply.status, reply.code) == (400, "VALIDATION_ERROR")
    return str(reply.json["error"]["details"][0]["field"])


@rule("DEVIATION-ONE-FACTOR", "PASSWORD-LENGTH")
@matrix(
    "password",
    [
        "q7-Zp!kV2_mX#9",  # 14 characters
        "short",
        "\U0001f511" * 4 + "é" * 10,  # 14 characters, many more bytes
    ],
)
async def test_less_than_fifteen_characters_are_rejected(app: App, client: str, password: str) -> None:
    assert len(password) < 15 <= len(password.encode()) or password.isascii()
    assert refused_field(await create(app, client, password)) == "password"


@rule("PASSWORD-AS-RECEIVED")
@matrix(
    "password",
    [
        "q7-Zp!kV2_mX#9w",  # 15
        " " + GOOD + " ",
        "Пылающий-жираф-8-лун",
        "\U0001f511\U0001f9a5\U0001f30b\U0001f6f0\U0001f9ed\U0001f409\U0001f9f2\U0001f38f\U0001f52d\U0001f6a0-walrus",
        "e\u0301toile-brumeuse-417",
        "".join(chr(0x4E00 + 37 * i) for i in range(256)),  # 256 characters, 768 bytes
    ],
)
async def test_every_character_counts_and_is_verified_as_received(app: App, client: str, password: str) -> None:
    _, email = await new_user(app, client, password=password)
    assert (await app.sign_in(email, password, client)).status == 200
    for nearly in {password.strip(), password.swapcase(), password[:-1], password[1:], password[:72]} - {password}:
        app.clock.advance(2 * DAY)
        assert (await app.sign_in(email, nearly, client)).code == "INVALID_CREDENTIALS"


@rule("PASSWORD-AS-RECEIVED")
async def test_another_normal_form_is_another_password(app: App, client: str) -> None:
    _, email = await new_user(app, client, password="caf\u00e9-nebula-walrus-41")
    assert (await app.sign_in(email, "cafe\u0301-nebula-walrus-41", client)).code == "INVALID_CREDENTIALS"


@rule("PASSWORD-LENGTH")
async def test_two_hundred_and_fifty_seven_characters_are_rejected(app: App, client: str) -> None:
    reply = await create(app, client, "".join(chr(0x4E00 + 37 * i) for i in range(257)))
    assert refused_field(reply) == "password"


@rule("PASSWORD-COMMON")
@matrix(
    "password",
    [
        "passwordpassword",
        "PasswordPassword1",
        "123456789012345678",
        "qwertyuiopasdfghjkl",
        "aaaaaaaaaaaaaaaaaaaaaaaa",
        "abcdefghijklmnopqrst",
        "iloveyouiloveyou",
        "manifestmanifest1",
        "111111111111111111111",
        "letmeinletmein123",
    ],
)
async def test_common_passwords_are_rejected(app: App, client: str, password: str) -> None:
    assert refused_field(await create(app, client, password)) == "password"


@rule("PASSWORD-COMMON")
async def test_the_names_of_user_and_client_are_no_password(app: App, client: str) -> None:
    body = {
        "email": "wilhelmina.featherstonehaugh@x.example",
        "firstName": "Wilhelmina",
        "lastName": "Featherstonehaugh",
        "roles": ["Viewer"],
        "password": "wilhelminafeatherstonehaugh1",
    }
    path = f"/api/admin/clients/{client}/users"
    assert refused_field(await app.post(path, body, token=await app.admin_token())) == "password"


@rule("PASSWORD-COMMON")
async def test_the_display_name_of_a_client_is_no_password_anywhere(app: App) -> None:
    client = await new_client(app, branding={"name": "Brightwater Ferries"})
    path = f"/api/admin/clients/{client}"
    token = await app.admin_token()
    assert (await app.send("PATCH", path, {"name": "Acme Corporation"}, token=token)).status == 200
    names = ("acme corporation", "Acme Corporation!", "acmecorporation1234", "Brightwater-Ferries-26")
    for name in names:
        assert refused_field(await create(app, client, name)) == "password"
    _, email = await new_user(app, client, password=GOOD)
    token = (await app.sign_in(email, GOOD, client)).data["token"]
    for name in names:
        assert refused_field(await change(app, token, GOOD, name)) == "newPassword"
        app.clock.advance(3600)


@rule("PASSWORD-LENGTH")
async def test_a_client_sets_its_minimum_length_between_eight_and_sixty_four(app: App) -> None:
    client = await new_client(app, password={"minLength": 8})
    assert (await create(app, client, "Zq4!vK9w")).status == 201
    assert refused_field(await create(app, client, "Zq4!vK9")) == "password"
    await settle(app, client, password={"minLength": 64})
    assert refused_field(await create(app, client, GOOD * 2)) == "password"
    for length in (7, 65, "15", 15.5, True):
        path = f"/api/admin/clients/{client}"
        reply = await app.send(
            "PATCH", path, {"settings": {"password": {"minLength": length}}}, token=await app.admin_token()
        )
        assert (reply.status, reply.code) == (400, "VALIDATION_ERROR")


@rule("PASSWORD-NO-RITUAL")
async def test_composition_is_asked_for_only_where_the_client_wants_it(app: App, client: str) -> None:
    assert (await create(app, client, "walrus copper lagoon thimble".replace(" ", ""))).status == 201
    strict = await new_client(app, password={"characterClasses": 3})
    assert refused_field(await create(app, strict, "walruscopperlagoonthimble")) == "password"
    assert refused_field(await create(app, strict, "walruscopperlagoonthimble7")) == "password"
    assert (await create(app, strict, "walrusCopperlagoonthimble7")).status == 201


@rule("PASSWORD-CHANGE")
async def test_a_new_password_asks_for_the_current_one_and_takes_its_place(app: App, client: str) -> None:
    _, email = await new_user(app, client, password=GOOD)
    token = (await app.sign_in(email, GOOD, client)).data["token"]
    new = "ember-quartz-mosaic-19"
    wrong = await change(app, token, "not-it-at-all-5519", new)
    assert (wrong.status, wrong.code) == (401, "INVALID_CREDENTIALS")
    assert (await app.sign_in(email, GOOD, client)).status == 200
    assert (await change(app, token, GOOD, new)).status == 200
    assert (await app.sign_in(email, GOOD, client)).code == "INVALID_CREDENTIALS"
    assert (await app.sign_in(email, new, client)).status == 200


async def test_a_new_password_keeps_to_the_rules(app: App, client: str) -> None:
    _, email = await new_user(app, client, password=GOOD)
    token = (await app.sign_in(email, GOOD, client)).data["token"]
    for new in ("short", "passwordpassword", GOOD, "person.person.person"):
        assert refused_field(await change(app, token, GOOD, new)) == "newPassword"
    assert (await app.sign_in(email, GOOD, client)).status == 200


@rule("PASSWORD-CHANGE")
async def test_a_new_password_ends_all_other_sessions_and_keeps_this_one(app: App, client: str) -> None:
    _, email = await new_user(app, client, password=GOOD)
    others = [await app.sign_in(email, GOOD, client) for _ in range(2)]
    this = await app.sign_in(email, GOOD, client)
    assert (await change(app, this.data["token"], GOOD, "ember-quartz-mosaic-19")).status == 200
    for other in others:
        assert (await app.me(other.data["token"])).code == "INVALID_TOKEN"
        assert (await app.refresh(other.data["refreshToken"])).code == "INVALID_TOKEN"
        assert (await app.me(cookie=other.cookie("session"))).code == "INVALID_TOKEN"
    assert (await app.me(this.data["token"])).status == 200
    assert (await app.refresh(this.data["refreshToken"])).status == 200
    changed = [e for e in await trail(app, client) if e.event == "password_changed"][-1]
    assert changed.members == {"sessions_ended": 2}


async def test_a_new_password_is_for_the_signed_in_only(app: App) -> None:
    body = {"currentPassword": GOOD, "newPassword": "ember-quartz-mosaic-19"}
    assert (await app.post("/api/client/auth/password", body)).code == "UNAUTHENTICATED"


async def test_earlier_passwords_do_not_come_back_while_history_remembers_them(app: App) -> None:
    client = await new_client(app, password={"history": 3})
    _, email = await new_user(app, client, password=GOOD)
    token = (await app.sign_in(email, GOOD, client)).data["token"]
    first, second, third = "ember-quartz-mosaic-19", "tundra-velvet-signal-64", "orchid-anvil-comet-35"
    assert (await change(app, token, GOOD, first)).status == 200
    assert (await change(app, token, first, second)).status == 200
    for former in (GOOD, first):
        assert refused_field(await change(app, token, second, former)) == "newPassword"
    assert (await change(app, token, second, third)).status == 200
    assert (await change(app, token, third, GOOD)).status == 200  # the fourth from last isn't remembered


async def test_without_the_history_rule_a_earlier_password_can_come_back(app: App, client: str) -> None:
    _, email = await new_user(app, client, password=GOOD)
    token = (await app.sign_in(email, GOOD, client)).data["token"]
    assert (await change(app, token, GOOD, "ember-quartz-mosaic-19")).status == 200
    assert (await change(app, token, "ember-quartz-mosaic-19", GOOD)).status == 200


@rule("PASSWORD-NO-RITUAL")
async def test_a_password_that_is_due_is_said_at_sign_in_and_stops_no_one(app: App) -> None:
    client = await new_client(app, password={"maxAgeDays": 90})
    _, email = await new_user(app, client, password=GOOD)
    app.clock.advance(89 * DAY)
    assert "passwordChangeDue" not in (await app.sign_in(email, GOOD, client)).data
    app.clock.advance(2 * DAY)
    due = await app.sign_in(email, GOOD, client)
    assert due.data["passwordChangeDue"] is True
    assert (await change(app, due.data["token"], GOOD, "ember-quartz-mosaic-19")).status == 200
    assert "passwordChangeDue" not in (await app.sign_in(email, "ember-quartz-mosaic-19", client)).data


async def test_guesses_at_the_current_password_are_throttled(app: App, client: str) -> None:
    _, email = await new_user(app, client, password=GOOD)
    token = (await app.sign_in(email, GOOD, client)).data["token"]
    with hashes_counted() as hashes:
        codes = [(await change(app, token, f"guess-number-{i}-x", "ember-quartz-mosaic-19")).code for i in range(12)]
        right = await change(app, token, GOOD, "ember-quartz-mosaic-19")
    assert codes[0] == "INVALID_CREDENTIALS"
    assert codes[-1] == right.code == "RATE_LIMITED"
    assert int(right.headers["retry-after"]) >= 1
    assert len(hashes) == codes.count("INVALID_CREDENTIALS") <= 5
