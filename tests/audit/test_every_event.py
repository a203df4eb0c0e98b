"""Every audit event is caused once, and the actor and subject in its row are checked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from manifest_auth.audit import Event
from tests.audit.badge_causes import badges
from tests.audit.device_causes import devices
from tests.audit.event_causes import TOPICS, Story, keys
from tests.audit.machine_causes import connections, machines
from tests.http.accounts import test_becoming_admin as gains
from tests.http.accounts import test_becoming_admin_identities as identities
from tests.http.admin import test_mfa_challenge as factors
from tests.http.apps import test_apps as apps
from tests.http.apps import test_attacks as app_attacks
from tests.http.apps import test_sign_in as app_sign_ins
from tests.http.audit import test_audit_export as exports
from tests.http.claims import test_directories as directories
from tests.http.claims import test_directory_proof as proofs
from tests.http.claims import test_domain_owners as domain_owners
from tests.http.claims import test_domain_watch as domain_times
from tests.http.claims import test_provider_names as names
from tests.http.email_changes import test_own as addresses
from tests.http.machines import test_key_ends as key_ends
from tests.http.oauth import test_token as oauth_tokens
from tests.http.pages.account import test_apps as apps_with_access
from tests.http.pages.console import test_bulk_acts as bulk_acts
from tests.http.pages.console import test_provider_try as tries
from tests.http.passkeys import test_own_passkeys as own_passkeys
from tests.http.passkeys import test_sign_in as passkey_sign_ins
from tests.http.saml import test_replay as replays
from tests.http.scim import test_users as scim_users
from tests.http.second_factors import test_factor_mails as factor_mails
from tests.http.single_sign_on import test_exchange_codes as codes
from tests.http.single_sign_on import test_first_link_by_domain as first_links
from tests.http.single_sign_on import test_identities as unlinking
from tests.http.single_sign_on import test_link_consent as linking
from tests.http.step_up import test_reauthenticate as new_proofs
from tests.http.throttle import test_anonymous_limits as anonymous_limits
from tests.licence import test_licence_events as licence_events
from tests.licence import test_replaced_licences as licences
from tests.mail_queue import test_mail_queue as mails
from tests.operations import test_last_backup as backups
from tests.operations import test_upgrade_event as upgrades
from tests.sign_in import test_first_run as first_runs
from tests.support.application import App
from tests.support.rules import rule
from tests.support.system_admins import signed_in_admin
from tests.support.team import new_team

#: Events that need a provider, a license, or another process, with the test that checks their rows.
ELSEWHERE: dict[Event, Callable[..., Any]] = {
    Event.APP_CREATED: apps.test_they_are_added_changed_and_removed,
    Event.APP_CHANGED: apps.test_they_are_added_changed_and_removed,
    Event.APP_DELETED: apps.test_they_are_added_changed_and_removed,
    Event.APP_SECRET_CREATED: apps.test_a_web_app_has_two_live_secrets_and_rotates_them,
    Event.APP_SECRET_REVOKED: apps.test_a_web_app_has_two_live_secrets_and_rotates_them,
    Event.APP_AUTHORIZED: app_sign_ins.test_a_sign_in_from_the_start_to_user_info,
    Event.APP_REFUSED: app_sign_ins.test_only_users_with_a_role_can_use_the_app,
    Event.CONSENT_GIVEN: app_sign_ins.test_consent_is_asked_once_and_again_for_more,
    Event.APP_CODE_REUSED: app_attacks.test_a_second_use_of_a_code_ends_its_session,
    Event.CONSENT_WITHDRAWN: apps_with_access.test_a_user_sees_and_removes_the_access_of_an_app,
    Event.API_KEY_EXPIRED: key_ends.test_the_end_is_in_the_audit_trail_once,
    Event.ASSERTION_REPLAYED: replays.test_a_replay_is_in_the_audit_trail,
    Event.PROVIDER_TRIED: tries.test_it_leaves_nothing_but_its_own_row_and_an_event,
    Event.SIGN_IN_CODE_REUSED: codes.test_a_code_that_is_shown_again_ends_the_session_that_it_began,
    Event.ADMIN_GAINED: gains.test_the_audit_trail_lists_the_promotion_and_voided_credentials,
    Event.ADMIN_ROLE_WITHHELD: identities.test_groups_do_not_grant_admin_to_an_unverified_identity,
    Event.CREDENTIALS_DROPPED: first_links.test_what_was_dropped_is_in_the_audit_trail,
    Event.IDENTITY_CONFIRMED: identities.test_an_identity_confirmed_by_an_admin_stays,
    Event.IDENTITY_LINKED: linking.test_the_own_account_gets_another_key,
    Event.CHANGED_PROVIDER_USED: factor_mails.test_a_provider_that_someone_else_vouches_for_is_told_at_the_next_sign_in,
    Event.IDENTITY_UNLINKED: unlinking.test_one_unlinks_their_own_and_stays_signed_in,
    Event.EMAIL_CHANGE_STARTED: addresses.test_it_takes_effect_when_the_new_mailbox_confirms,
    Event.EMAIL_CHANGED: addresses.test_it_takes_effect_when_the_new_mailbox_confirms,
    Event.EMAIL_CHANGE_UNDONE: addresses.test_the_old_mailbox_undoes_it,
    Event.MAIL_FAILED: mails.test_after_an_hour_it_is_given_up_and_the_trail_says_so,
    Event.SETUP_CODE_MADE: first_runs.test_the_code_has_sixteen_letters_and_is_stored_as_a_hash,
    Event.SETUP_CODE_FAILED: first_runs.test_a_wrong_code_makes_none_and_is_recorded,
    Event.REAUTHENTICATED: new_proofs.test_a_wrong_password_verifies_nothing_and_is_recorded,
    Event.REAUTHENTICATION_FAILED: new_proofs.test_a_wrong_password_verifies_nothing_and_is_recorded,
    Event.USERS_EXPORTED: bulk_acts.test_the_list_as_a_file_is_in_the_audit_trail,
    Event.AUDIT_EXPORTED: exports.test_each_export_is_in_the_audit_trail_with_its_filters,
    Event.LICENSE_INSTALLED: licences.test_every_install_is_in_the_trail_with_what_it_grants,
    Event.LICENSE_REFUSED: licences.test_every_install_is_in_the_trail_with_what_it_grants,
    Event.LICENSE_STATE_CHANGED: licence_events.test_the_grace_time_and_the_end_are_told_once_for_all_nodes,
    Event.EVENTS_LEFT_OUT: anonymous_limits.test_junk_from_one_address_leaves_a_few_events_and_then_their_number,
    Event.SECOND_FACTOR_BEGUN: factors.test_enrollment_is_counted_and_recorded_like_a_password,
    Event.PASSKEY_ADDED: own_passkeys.test_a_passkey_is_renamed_and_removed_by_its_owner_alone,
    Event.PASSKEY_RENAMED: own_passkeys.test_a_passkey_is_renamed_and_removed_by_its_owner_alone,
    Event.PASSKEY_REMOVED: own_passkeys.test_a_passkey_is_renamed_and_removed_by_its_owner_alone,
    Event.PASSKEY_COUNTER_REGRESSED: passkey_sign_ins.test_a_counter_has_to_go_on_or_to_stay_at_zero,
    Event.RESTORED: backups.test_of_processes_that_start_together_one_records_a_restore,
    Event.SCHEMA_UPGRADED: upgrades.test_an_upgrade_is_in_the_audit_trail_and_no_proof_makes_one,
    Event.BACKED_UP: backups.test_a_backup_is_noted_once_it_is_whole,
    Event.DOMAIN_PROVED: domain_times.test_a_missing_record_is_reported_and_lapses_after_two_weeks,
    Event.DOMAIN_FAILING: domain_times.test_a_missing_record_is_reported_and_lapses_after_two_weeks,
    Event.DOMAIN_LAPSED: domain_times.test_a_missing_record_is_reported_and_lapses_after_two_weeks,
    Event.DOMAIN_CONTESTED: domain_owners.test_the_second_client_waits_and_gets_the_domain_when_it_lapses,
    Event.DOMAIN_MOVED: domain_owners.test_the_second_client_waits_and_gets_the_domain_when_it_lapses,
    Event.SEAT_REFUSED: licence_events.test_a_seat_that_is_not_there,
    Event.DIRECTORY_CLAIMED: directories.test_an_unverified_claim_has_no_effect_and_can_be_released,
    Event.DIRECTORY_RELEASED: directories.test_an_unverified_claim_has_no_effect_and_can_be_released,
    Event.DIRECTORY_PROVED: proofs.test_each_of_three_roles_proves_it,
    Event.DIRECTORY_VOUCHED: directories.test_a_system_admins_approval_verifies_it,
    Event.DIRECTORY_GRANTED: directories.test_it_is_granted_to_others_and_revoked,
    Event.DIRECTORY_REVOKED: directories.test_it_is_granted_to_others_and_revoked,
    Event.SERVICE_TOKEN_ISSUED: oauth_tokens.test_the_audit_trail_has_one_event_an_hour,
    Event.PROVIDER_NAME_PINNED: names.test_a_pin_is_set_moved_listed_and_removed,
    Event.SCIM_USER_ADOPTED: scim_users.test_an_account_is_adopted_only_with_both_rights_and_loses_its_credentials,
    Event.SCIM_USER_REMOVED: scim_users.test_a_user_lives_from_the_first_post_to_the_second,
    Event.SCIM_GROUP_CHANGED: scim_users.test_admins_are_out_of_reach_and_the_last_one_stays,
    Event.SCIM_REFUSED: scim_users.test_off_ends_everything_and_only_its_own_off_is_undone,
}


@rule("AUDIT-TRAIL")
async def test_every_event_is_recorded(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    app.clock.advance(86_400)
    story = Story(app, await signed_in_admin(app), await new_team(app))
    for topic in (machines, connections, devices, badges, *TOPICS):
        await topic(story)
    await keys(story, monkeypatch)
    assert (story.seen | set(ELSEWHERE), story.seen & set(ELSEWHERE)) == (set(Event), set())
