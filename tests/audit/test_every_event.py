"""Every audit event is made to happen, and its row is checked: actor and subject."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from manifest_auth import audit
from manifest_auth.audit import Event
from manifest_auth.cli import keys as key_commands
from manifest_auth.cli.main import parser
from manifest_auth.operations.delete_clients import sweep_clients
from tests.http.accounts import test_becoming_admin as gains
from tests.http.accounts import test_becoming_admin_identities as identities
from tests.http.admin import test_mfa_challenge as factors
from tests.http.audit import test_audit_export as exports
from tests.http.claims import test_directories as directories
from tests.http.claims import test_directory_proof as proofs
from tests.http.claims import test_domain_owners as domain_owners
from tests.http.claims import test_domain_watch as domain_times
from tests.http.claims import test_provider_names as names
from tests.http.email_changes import test_own as addresses
from tests.http.pages.console import test_provider_try as tries
from tests.http.passwords import test_imported_hashes as imported
from tests.http.saml import test_replay as replays
from tests.http.single_sign_on import test_exchange_codes as codes
from tests.http.single_sign_on import test_first_link_by_domain as first_links
from tests.http.single_sign_on import test_identities as unlinking
from tests.http.single_sign_on import test_link_consent as linking
from tests.http.throttle import test_anonymous_limits as anonymous_limits
from tests.licence import test_licence_events as licence_events
from tests.licence import test_replaced_licences as licences
from tests.mail_queue import test_mail_queue as mails
from tests.operations import test_last_backup as backups
from tests.operations import test_upgrade_event as upgrades
from tests.sign_in import test_first_run as first_runs
from tests.support.accounts import keys_of, new_user
from tests.support.application import FAST, PASSWORD, App
from tests.support.system_admins import ADMINS, AUTH, SystemAdmin, another, enrolled, events, signed_in_admin
from tests.support.team import Team, new_team
from tests.support.user_management import NEW, accept, invited, reset, started_reset

GOOD = "granite-otter-47-lantern"
CLIENTS, FACTOR = "/api/admin/clients", f"{AUTH}/second-factor"
#: Events that need a provider, a licence or another process: the test that checks their rows.
ELSEWHERE: dict[Event, Callable[..., Any]] = {
    Event.ASSERTION_REPLAYED: replays.test_a_replay_stands_in_the_audit_trail,
    Event.PROVIDER_TRIED: tries.test_it_leaves_nothing_but_its_own_row_and_an_event,
    Event.SIGN_IN_CODE_REUSED: codes.test_a_code_that_is_shown_again_ends_the_session_that_it_began,
    Event.ADMIN_GAINED: gains.test_the_gain_stands_in_the_trail_with_what_was_void,
    Event.ADMIN_ROLE_WITHHELD: identities.test_groups_give_admin_to_no_one_whose_identity_is_not_proved,
    Event.CREDENTIALS_DROPPED: first_links.test_what_was_dropped_stands_in_the_trail,
    Event.IDENTITY_CONFIRMED: identities.test_one_that_an_admin_confirmed_stays,
    Event.IDENTITY_LINKED: linking.test_the_own_account_gets_another_key,
    Event.IDENTITY_UNLINKED: unlinking.test_one_unlinks_the_own_and_stays_signed_in,
    Event.EMAIL_CHANGE_STARTED: addresses.test_it_takes_effect_when_the_new_mailbox_confirms,
    Event.EMAIL_CHANGED: addresses.test_it_takes_effect_when_the_new_mailbox_confirms,
    Event.EMAIL_CHANGE_UNDONE: addresses.test_the_old_mailbox_undoes_it,
    Event.MAIL_FAILED: mails.test_after_an_hour_it_is_given_up_and_the_trail_says_so,
    Event.SETUP_CODE_MADE: first_runs.test_the_code_has_sixteen_letters_and_is_stored_as_a_hash,
    Event.SETUP_CODE_FAILED: first_runs.test_a_wrong_code_makes_none_and_is_recorded,
    Event.AUDIT_EXPORTED: exports.test_each_export_stands_in_the_trail_with_its_filters,
    Event.LICENSE_INSTALLED: licences.test_every_install_is_in_the_trail_with_what_it_grants,
    Event.LICENSE_REFUSED: licences.test_every_install_is_in_the_trail_with_what_it_grants,
    Event.LICENSE_STATE_CHANGED: licence_events.test_the_grace_time_and_the_end_are_told_once_for_all_nodes,
    Event.EVENTS_LEFT_OUT: anonymous_limits.test_junk_from_one_address_leaves_a_few_events_and_then_their_number,
    Event.SECOND_FACTOR_BEGUN: factors.test_enrolling_is_counted_and_recorded_like_a_password,
    Event.RESTORED: backups.test_of_processes_that_start_together_one_records_a_restore,
    Event.SCHEMA_UPGRADED: upgrades.test_an_upgrade_stands_in_the_trail_and_no_proof_makes_one,
    Event.BACKED_UP: backups.test_a_backup_is_noted_once_it_is_whole,
    Event.DOMAIN_PROVED: domain_times.test_a_record_that_is_gone_is_told_of_and_lapses_after_two_weeks,
    Event.DOMAIN_FAILING: domain_times.test_a_record_that_is_gone_is_told_of_and_lapses_after_two_weeks,
    Event.DOMAIN_LAPSED: domain_times.test_a_record_that_is_gone_is_told_of_and_lapses_after_two_weeks,
    Event.DOMAIN_CONTESTED: domain_owners.test_the_second_client_waits_and_gets_the_domain_when_it_lapses,
    Event.DOMAIN_MOVED: domain_owners.test_the_second_client_waits_and_gets_the_domain_when_it_lapses,
    Event.SEAT_REFUSED: licence_events.test_a_seat_that_is_not_there,
    Event.DIRECTORY_CLAIMED: directories.test_a_claim_gives_nothing_yet_and_can_be_taken_back,
    Event.DIRECTORY_RELEASED: directories.test_a_claim_gives_nothing_yet_and_can_be_taken_back,
    Event.DIRECTORY_PROVED: proofs.test_each_of_three_roles_proves_it,
    Event.DIRECTORY_VOUCHED: directories.test_a_system_admin_who_vouches_makes_it_count,
    Event.DIRECTORY_GRANTED: directories.test_it_is_granted_to_others_and_taken_back,
    Event.DIRECTORY_REVOKED: directories.test_it_is_granted_to_others_and_taken_back,
    Event.PROVIDER_NAME_PINNED: names.test_a_pin_is_set_moved_listed_and_taken_away,
}


@dataclass
class Story:
    """A client of its own, the system admin, and the events that were found so far."""

    app: App
    root: SystemAdmin
    team: Team
    seen: set[Event] = field(default_factory=set)

    @contextlib.asynccontextmanager
    async def expects(self, event: Event, actor: str, subject: str, chain: int | None = None) -> AsyncIterator[None]:
        """What is done meanwhile leaves one such event in the client's chain, or another."""
        number = await self.chain() if chain is None else chain
        before = len(await events(self.app, number))
        yield
        found = [(name, who, whom) for name, who, whom, _ in (await events(self.app, number))[before:]]
        assert found.count((event.value, actor, subject)) == 1, found
        self.seen.add(event)

    async def chain(self) -> int:
        found: int = (await self.root.get(f"{CLIENTS}/{self.team.client}")).data["id"]
        return found

    async def do(self, method: str, path: str, body: Any = None) -> Any:
        """Of the system admin; it must succeed."""
        reply = await self.root.send(method, path, body)
        assert reply.status in (200, 201), reply.text
        return reply.data


async def _passwords(story: Story) -> None:
    app, client, expects = story.app, story.team.client, story.expects
    number, email = await new_user(app, client, password=GOOD)
    me = f"user:{number}"
    async with expects(Event.SIGNED_IN, "anonymous", me):
        keys = await keys_of(app, email, password=GOOD, client=client)
    async with expects(Event.SIGN_IN_FAILED, "anonymous", me):
        await app.sign_in(email, "wrong", client)
    async with expects(Event.ACCESS_REFUSED, me, me):
        await app.get("/api/client/audit", token=keys.token)
    async with expects(Event.PASSWORD_CHECK_FAILED, me, me):
        body = {"currentPassword": "wrong-wrong-wrong", "newPassword": NEW}
        await app.post("/api/client/auth/password", body, token=keys.token)
    async with expects(Event.PASSWORD_CHANGED, me, me):
        body = {"currentPassword": GOOD, "newPassword": NEW + "-2"}
        await app.post("/api/client/auth/password", body, token=keys.token)
    other = await app.sign_in(email, NEW + "-2", client)
    sessions = (await app.get("/api/client/auth/sessions", token=keys.token)).data
    rows = sessions["items"] if isinstance(sessions, dict) else sessions
    [second] = [row["id"] for row in rows if not row.get("isCurrent", row.get("current"))]
    async with expects(Event.SESSION_ENDED, me, me):
        await app.send("DELETE", f"/api/client/auth/sessions/{second}", token=keys.token)
    assert (await app.me(other.data["token"])).status == 401
    async with expects(Event.SIGNED_OUT, me, me):
        await app.post("/api/client/auth/sign-out", token=keys.token)
    keys = await keys_of(app, email, password=NEW + "-2", client=client)
    child = (await app.refresh(keys.refresh_token)).data["refreshToken"]
    grandchild = (await app.refresh(child)).data["refreshToken"]
    await app.refresh(grandchild)
    app.clock.advance(60)
    async with expects(Event.REFRESH_TOKEN_REUSED, "anonymous", me):
        await app.refresh(keys.refresh_token)
    keys = await keys_of(app, email, password=NEW + "-2", client=client)
    async with expects(Event.SIGNED_OUT_ALL, me, me):
        await app.post("/api/client/auth/sign-out-all", token=keys.token)
    foreign, address = await new_user(app, client, passwordHash=imported.HASHES["bcrypt 2b"])
    async with expects(Event.PASSWORD_REHASHED, "anonymous", f"user:{foreign}"):
        await app.sign_in(address, imported.PASSWORD, client)
    async with expects(Event.THROTTLED, "anonymous", me):
        for attempt in range(8):
            reply = await app.sign_in(email, f"guess-{attempt}-number", client)
            if reply.status == 429:
                break
    async with expects(Event.THROTTLES_CLEARED, f"admin:{story.root.id}", me):
        await story.do("POST", "/api/admin/throttles/clear", {"client": client, "email": email})


async def _users(story: Story) -> None:
    app, team, expects, root = story.app, story.team, story.expects, f"admin:{story.root.id}"
    users = f"{CLIENTS}/{team.client}/users"
    found = await new_user(app, team.client, password=GOOD)
    number, me = found[0], f"user:{found[0]}"
    async with expects(Event.USER_CREATED, root, f"user:{number + 1}"):
        await new_user(app, team.client)
    async with expects(Event.USER_CHANGED, root, me):
        await story.do("PATCH", f"{users}/{number}", {"firstName": "Else"})
    async with expects(Event.USER_ROLES_CHANGED, root, me):
        await story.do("PUT", f"{users}/{number}/roles", {"roles": ["Operator"]})
    async with expects(Event.USER_DEACTIVATED, root, me):
        await story.do("POST", f"{users}/{number}/deactivate")
    async with expects(Event.SIGN_IN_REFUSED, "anonymous", me):
        await app.sign_in(found[1], GOOD, team.client)
    async with expects(Event.USER_RESTORED, root, me):
        await story.do("POST", f"{users}/{number}/restore")
    client_admin = f"user:{(await team.member('Admin')).id}"
    guest, token = await invited(team)
    async with expects(Event.INVITATION_ACCEPTED, "anonymous", f"user:{guest}"):
        assert (await accept(app, token)).status == 200
    async with expects(Event.USER_INVITED, client_admin, f"user:{guest + 1}"):
        await invited(team, "second@x.example")
    async with expects(Event.PASSWORD_RESET_STARTED, client_admin, f"user:{guest}"):
        token = await started_reset(team, guest)
    async with expects(Event.PASSWORD_RESET, "anonymous", f"user:{guest}"):
        assert (await reset(app, token, NEW + "-3")).status == 200


async def _providers(story: Story) -> None:
    root, base = f"admin:{story.root.id}", f"{CLIENTS}/{story.team.client}/providers"
    body = {"name": "first", "oidc": {"issuer": "https://idp.example", "clientId": "x"}}
    me = f"provider:{(number := (await story.do('POST', base, body))['id'])}"
    async with story.expects(Event.PROVIDER_CHANGED, root, me):
        await story.do("PATCH", f"{base}/first", {"oidc": {"clientId": "y"}})
    for act, event in (("switch-off", Event.PROVIDER_SWITCHED_OFF), ("switch-on", Event.PROVIDER_SWITCHED_ON)):
        async with story.expects(event, root, me):
            await story.do("POST", f"{base}/first/{act}")
    async with story.expects(Event.PROVIDER_DELETED, root, me):
        await story.do("DELETE", f"{base}/first")
    async with story.expects(Event.PROVIDER_CREATED, root, f"provider:{number + 1}"):
        await story.do("POST", base, body)


async def _domains(story: Story) -> None:
    root, base, domain = f"admin:{story.root.id}", f"{CLIENTS}/{story.team.client}/domains", "every-event.example"
    me = f"domain:{domain}"
    async with story.expects(Event.DOMAIN_CLAIMED, root, me):
        await story.do("POST", base, {"domain": domain})
    async with story.expects(Event.DOMAIN_VOUCHED, root, me):
        await story.do("POST", f"{base}/{domain}/vouch", {"reason": "known for years"})
    async with story.expects(Event.DOMAIN_RELEASED, root, me):
        await story.do("DELETE", f"{base}/{domain}")


async def _clients(story: Story) -> None:
    app, root, expects = story.app, f"admin:{story.root.id}", story.expects
    number = await story.chain()
    me, path = f"client:{number}", f"{CLIENTS}/{story.team.client}"
    assert (Event.CLIENT_CREATED.value, root, me) == (await events(app, number))[0][:3]
    story.seen.add(Event.CLIENT_CREATED)
    async with expects(Event.CLIENT_CHANGED, root, me):
        await story.do("PATCH", path, {"name": "Another"})
    async with expects(Event.BRANDING_CHANGED, root, me):
        await story.do("PATCH", path, {"settings": {"branding": {"accent": "#123456"}}})
    async with expects(Event.CLIENT_SUSPENDED, root, me):
        await story.do("POST", f"{path}/suspend")
    async with expects(Event.CLIENT_RESTORED, root, me):
        await story.do("POST", f"{path}/restore")
    await audit.cut(app.services.store, number, app.clock.ms + 1, app.clock.ms)
    assert [found[:3] for found in await events(app, number)] == [(Event.AUDIT_SWEPT.value, "system", "")]
    story.seen.add(Event.AUDIT_SWEPT)
    async with expects(Event.CLIENT_DELETION_STARTED, root, me), expects(Event.CLIENT_DELETION_STARTED, root, me, 0):
        await story.do("DELETE", path)
    app.clock.advance(31 * 86_400)
    async with expects(Event.CLIENT_DELETED, "system", me, 0):
        await sweep_clients(app.services)


async def _admins(story: Story) -> None:
    app, expects = story.app, story.expects
    story.root = await signed_in_admin(app)
    root = f"admin:{story.root.id}"
    me = await another(story.root)
    who, one = f"admin:{me.id}", f"{ADMINS}/{me.id}"
    async with expects(Event.ADMIN_CREATED, root, f"admin:{me.id + 1}", 0):
        await another(story.root)
    async with expects(Event.SECOND_FACTOR_ENROLLED, who, who, 0):
        phone = await enrolled(me)
    async with expects(Event.RECOVERY_CODES_MADE, who, who, 0):
        assert (await me.post(f"{FACTOR}/recovery-codes", {"password": PASSWORD, "otp": phone.code()})).status == 201
    for path, event in (
        ("reset-second-factor", Event.SECOND_FACTOR_REMOVED),
        ("reset-password", Event.ADMIN_PASSWORD_RESET),
        ("disable", Event.ADMIN_DISABLED),
        ("enable", Event.ADMIN_ENABLED),
    ):
        async with expects(event, root, who, 0):
            await story.do("POST", f"{one}/{path}")
    for required in (True, False):
        async with expects(Event.INSTALLATION_CHANGED, root, "", 0):
            reply = await story.root.send("PATCH", "/api/admin/settings", {"secondFactorRequired": required})
            if reply.status != 200:  # the one who asks must have a factor
                await enrolled(story.root)
                await story.do("PATCH", "/api/admin/settings", {"secondFactorRequired": required})


async def _keys(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    root, settings = f"admin:{story.root.id}", story.app.services.settings
    [made] = [found for found in await events(story.app) if found[0] == Event.KEYS_MADE.value]
    assert made[1:3] == ("system", "")
    story.seen.add(Event.KEYS_MADE)
    async with story.expects(Event.KEYS_ROTATED, root, "", 0):
        await story.do("POST", "/api/admin/keys/rotate", {"purpose": "refresh"})
    keys = (await story.root.get("/api/admin/keys?first=100")).data["items"]
    old = next(key["id"] for key in keys if key["purpose"] == "refresh" and key["state"] == "verifying")
    async with story.expects(Event.KEY_RETIRED, root, f"key:{old}", 0):
        await story.do("POST", f"/api/admin/keys/{old}/retire", {"atOnce": True})
    for name, value in {**FAST, "MANIFEST_DATABASE_URL": settings.database}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("MANIFEST_DATA_DIR", settings.data_dir)
    async with story.expects(Event.SECRETS_REENCRYPTED, "system", "", 0):
        assert await key_commands.reencrypt_all(parser().parse_args(["keys", "reencrypt"])) in (0, 1)


async def test_every_event_is_recorded(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    app.clock.advance(86_400)
    story = Story(app, await signed_in_admin(app), await new_team(app))
    topics: list[Callable[[Story], Awaitable[None]]] = [_passwords, _users, _providers, _domains, _clients, _admins]
    for topic in topics:
        await topic(story)
    await _keys(story, monkeypatch)
    assert (story.seen | set(ELSEWHERE), story.seen & set(ELSEWHERE)) == (set(Event), set())
