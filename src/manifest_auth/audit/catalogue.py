"""Catalogue of audit events: each is declared once, with everything that the trail, pages, and docs need."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from manifest_auth.audit.acts import NOTHING, Act
from manifest_auth.text.languages import MarkedText
from manifest_auth.text.languages import marked as _

#: The areas of the audit trail in the console.
SIGN_IN = _("Sign-in")
USERS = _("Users")
SETTINGS = _("Settings")
PROVIDERS = _("Providers")
DOMAINS = _("Domains")
SERVER = _("Server")
MACHINES = _("Service accounts")
DEVICES = _("Devices")
APPS = _("Apps")
PROVISIONING = _("Provisioning")


@dataclass(frozen=True, slots=True)
class About:
    """An event.

    - ``name``: its name in the trail.
    - ``area``: the subject, in one word.
    - ``told``: a sentence for the console, with placeholders: ``who`` acted, ``whom`` or ``what`` it concerns, and the
      ``provider`` and ``app`` that were involved. ``through`` is " through" that provider, or nothing if there is none.
    - ``when``: when it is recorded, for the docs.
    - ``account``: a sentence for the person whom it concerns; empty if the account pages don't show it.
    - ``is_alarm``: the account pages ask whether the user did this.
    - ``is_bad``: anyone who manages the client should look at it.
    - ``asks``: actions of users and system admins, one of which requires re-authentication. An omitted action leads to
      an event that other actions cause too. ``asks_users``, ``asks_admins``: the same, for events about their own
      account.
    - ``of_installation``: it never occurs in a client's chain.
    """

    name: str
    area: str
    told: str
    when: str
    account: str = ""
    is_bad: bool = False
    is_alarm: bool = False
    asks: Act = NOTHING
    asks_users: Act = NOTHING
    asks_admins: Act = NOTHING
    of_installation: bool = False

    @property
    def outcome(self) -> str:
        """The label of a bad event; empty for any other."""
        failed = self.area == SIGN_IN or self.name.endswith(("_failed", "_refused"))
        return "" if not self.is_bad else _("Failed") if failed else _("Warning")


class Event(enum.Enum):
    """Every event of the trail. ``value`` is its name."""

    _value_: str
    about: About

    def __new__(cls, about: About) -> Event:
        made = object.__new__(cls)
        made._value_, made.about = about.name, about
        return made

    # A table with one event a line.
    # fmt: off
    SIGNED_IN = About("signed_in", SIGN_IN, _("%(whom)s signed in%(through)s"), account=_("Sign-in"),
        when="A sign-in succeeded, or an Entra ID token was verified, which is repeated after five minutes. "
        "`parent`: the session from which an app got this one, through *Continue as …*")
    SIGN_IN_FAILED = About("sign_in_failed", SIGN_IN, _("A sign-in%(through)s failed: %(whom)s"),
        account=_("Failed sign-in"), is_bad=True, is_alarm=True,
        when="The password was incorrect, the account is unknown, a one-time link no longer works, or a provider's "
        "response was rejected; `why`")
    SIGN_IN_REFUSED = About("sign_in_refused", SIGN_IN, _("A sign-in%(through)s was blocked: %(whom)s"),
        account=_("Blocked sign-in"), is_bad=True, is_alarm=True,
        when="The password or assertion was correct, but the user is deactivated or the client is suspended")
    ACCESS_REFUSED = About("access_refused", SIGN_IN,
        _("A request from %(who)s was rejected because of a missing role"), is_bad=True,
        when="A known caller was rejected: a role is missing, `X-Client-ID` names another client, the token is for "
        "the other API, or the session of a refresh token has ended; `why`, `route`, and `kept_back`")
    SEAT_REFUSED = About("seat_refused", USERS,
        _("A request from %(who)s failed because no license seat was available"), is_bad=True,
        when="The license has no seat left for a user to be created, invited, restored, or given a role")
    THROTTLED = About("throttled", SIGN_IN, _("A rate limit blocked attempts: %(whom)s"),
        account=_("Too many attempts. Further attempts were blocked."), is_bad=True, is_alarm=True,
        when="A rate limit blocked an attempt")
    EVENTS_LEFT_OUT = About("events_left_out", SIGN_IN,
        _("More failed sign-ins of this kind occurred"), is_bad=True,
        when="Anonymous callers caused too many events of a class, from one address, in the client, or for one "
        "account, so further ones are [only counted](../decisions/0030-anonymous-limits.md); the limit that was "
        "reached, the class, the count so far, and the kind of the last event")
    SIGNED_OUT = About("signed_out", SIGN_IN, _("%(whom)s signed out"),
        when="A user ended their current session, or signed out an Entra ID token")
    SIGNED_OUT_ALL = About("signed_out_all", SIGN_IN, _("%(who)s ended all sessions of %(whom)s"),
        account=_("Sessions ended"), asks_admins=Act.SESSIONS | Act.ADMINS,
        when="All sessions of a user were ended, by the user or by an admin")
    SESSION_ENDED = About("session_ended", SIGN_IN, _("%(who)s ended a session of %(whom)s"),
        account=_("Session ended"),
        when="One session of a user was ended, by the user from another session or by an admin")
    REFRESH_TOKEN_REUSED = About("refresh_token_reused", SIGN_IN,
        _("A refresh token of %(whom)s was used twice, and the session was ended"),
        account=_("Session ended, because its refresh token was used twice"), is_bad=True, is_alarm=True,
        when="A replaced refresh token was used again. The session was ended")
    PASSWORD_CHANGED = About("password_changed", SIGN_IN, _("%(whom)s changed their password"),
        account=_("Password changed"), asks_users=Act.PASSWORD,
        when="A user set a new password. Their other sessions were ended")
    PASSWORD_CHECK_FAILED = About("password_check_failed", SIGN_IN,
        _("%(whom)s entered an incorrect current password"),
        account=_("Incorrect current password entered while signed in"), is_bad=True, is_alarm=True,
        when="A signed-in user or system admin was asked for the password again, and entered an incorrect one. With "
        "`why`, the first code of a system admin's new second factor was incorrect")
    PASSWORD_REHASHED = About("password_rehashed", SIGN_IN, _("The password hash of %(whom)s was upgraded"),
        when="During a sign-in, the password's hash was replaced by one with the current settings")
    CLIENT_CREATED = About("client_created", SETTINGS, _("%(who)s created this client"),
        when="A system admin or the command line created a client")
    CLIENT_CHANGED = About("client_changed", SETTINGS, _("%(who)s changed the settings"), asks=Act.RULES,
        when="A client's name or settings were changed; the values before and after")
    BRANDING_CHANGED = About("branding_changed", SETTINGS, _("%(who)s changed the branding"),
        when="The name, color, or logo that a client's pages show was changed; the values before and after")
    CLIENT_SUSPENDED = About("client_suspended", SETTINGS, _("%(who)s suspended this client"), is_bad=True,
        when="A client was suspended. Its sessions were ended")
    CLIENT_RESTORED = About("client_restored", SETTINGS, _("%(who)s restored this client"),
        when="A suspended client was restored, or its deletion was canceled; the state before and after")
    CLIENT_DELETION_STARTED = About("client_deletion_started", SETTINGS, _("%(who)s marked this client for deletion"),
        is_bad=True, asks=Act.DELETION,
        when="A client was marked for deletion and suspended; also in the installation's chain")
    CLIENT_DELETED = About("client_deleted", SETTINGS,
        _("This client was deleted"), is_bad=True, of_installation=True,
        when="The waiting period ended, and the client was permanently deleted; the number of events in its chain, the "
        "`hash` of the last one, and whether the chain was kept")
    USER_CREATED = About("user_created", USERS,
        _("%(who)s added %(whom)s"), asks=Act.RANKS, when="A user was created")
    USER_CHANGED = About("user_changed", USERS,
        _("%(who)s changed the details of %(whom)s"), account=_("Profile changed"),
        when="A user's name, description, or email address was changed; the values before and after")
    USER_ROLES_CHANGED = About("user_roles_changed", USERS, _("%(who)s changed the roles of %(whom)s"),
        account=_("Roles changed"), asks=Act.IDENTITIES | Act.RANKS | Act.PROVIDERS,
        when="A user's roles were set, by an admin or by a provider's groups; the roles before and after")
    ADMIN_GAINED = About("admin_gained", USERS, _("%(whom)s became an Admin"), account=_("You became an Admin"),
        when="An active user became an Admin ([what that resets](../decisions/0034-gain-of-admin.md)); the `path` "
        "(`set_user_roles`, `admin_plane`, `groups`, `restored`, `command_line`), `by` whom, how much of the account "
        "became `void`, and how many identities were kept")
    ADMIN_ROLE_WITHHELD = About("admin_role_withheld", USERS,
        _("Groups from %(provider)s didn't make %(whom)s an Admin"), is_bad=True,
        when="A provider's groups granted the Admin role to an identity that isn't verified, so the role wasn't "
        "granted")
    CREDENTIALS_DROPPED = About("credentials_dropped", USERS, _("Earlier sign-in methods of %(whom)s were removed"),
        account=_("Earlier sign-in methods removed"),
        when="A provider's user was linked to the account only because of the email address; how much of the existing "
        "account became `void`")
    USER_DEACTIVATED = About("user_deactivated", USERS, _("%(who)s deactivated %(whom)s"),
        account=_("Account deactivated"),
        when="A user was deactivated. Their sessions and open links were ended")
    USER_RESTORED = About("user_restored", USERS, _("%(who)s reactivated %(whom)s"),
        account=_("Account reactivated"), asks=Act.RANKS, when="A deactivated user was reactivated")
    USER_INVITED = About("user_invited", USERS, _("%(who)s invited %(whom)s"), account=_("Invitation link created"),
        asks=Act.RANKS,
        when="An invitation link was created; whether it was `shown` to the person who created it, or emailed")
    INVITATION_ACCEPTED = About("invitation_accepted", USERS, _("%(whom)s accepted the invitation"),
        account=_("Invitation link used"),
        when="A user chose a first password with that link, and was signed in; who created the link (`made_by`)")
    PASSWORD_RESET_STARTED = About("password_reset_started", SIGN_IN,
        _("A link to choose a new password was created for %(whom)s"),
        account=_("Password reset link requested"),
        when="A link to choose a new password was created, by an admin or the command line, or `by` mail for a user "
        "who forgot it or restored an old email address; `shown`, as in `user_invited`")
    PASSWORD_RESET = About("password_reset", SIGN_IN, _("%(whom)s chose a new password with a link"),
        account=_("Password reset with a link"),
        when="A user chose a new password with that link. Their sessions were ended; `made_by`, as in "
        "`invitation_accepted`")
    EMAIL_CHANGE_STARTED = About("email_change_started", USERS,
        _("A new email address was requested for %(whom)s"), account=_("Email address change requested"),
        asks=Act.EMAIL,
        when="The user or an admin requested a different email address; the old and new address, whether it is `taken` "
        "by another account, and until when it can be confirmed")
    EMAIL_CHANGED = About("email_changed", USERS, _("The email address of %(whom)s was changed"),
        account=_("Email address changed"),
        when="A new email address was confirmed, and took effect; the old and new address, and `started_by`")
    EMAIL_CHANGE_UNDONE = About("email_change_undone", USERS,
        _("The previous email address of %(whom)s was restored"),
        account=_("Previous email address restored"), is_bad=True,
        when="The owner of the previous address restored it. The sessions were ended, and the password is void; the "
        "addresses before and after. `void` counts the sign-in methods that were removed because they were added "
        "less than a day before the change was requested, or later")
    MAIL_FAILED = About("mail_failed", SERVER, _("An email to %(whom)s couldn't be sent"), is_bad=True,
        when="The mail server didn't accept an email for an hour, or rejected it permanently with the reply code "
        "`refused`; its `purpose`, the number of `tries`, and `since` when")
    IDENTITY_LINKED = About("identity_linked", SIGN_IN, _("%(whom)s was linked to an account at %(provider)s"),
        account=_("Provider account linked"),
        when="A provider's user was linked to an account; `how` they were matched")
    IDENTITY_CONFIRMED = About("identity_confirmed", SIGN_IN, _("%(who)s confirmed a linked account of %(whom)s"),
        account=_("Linked account confirmed"), asks=Act.IDENTITIES,
        when="An Admin confirmed that an identity belongs to the user")
    IDENTITY_UNLINKED = About("identity_unlinked", SIGN_IN, _("%(who)s unlinked an account of %(whom)s"),
        account=_("Provider account unlinked"), asks_users=Act.IDENTITIES,
        when="An identity was unlinked from a user")
    CHANGED_PROVIDER_USED = About("changed_provider_used", SIGN_IN,
        _("%(whom)s signed in with %(provider)s for the first time after a User Admin changed it"),
        account=_("Sign-in through a provider with changed settings"), is_alarm=True,
        when="An existing user signed in through a provider for the first time since a User Admin changed how it "
        "identifies users")
    PROVIDER_CREATED = About("provider_created", PROVIDERS,
        _("%(who)s added the provider %(what)s"), asks=Act.PROVIDERS,
        when="A provider was created; its settings, never its secrets")
    PROVIDER_CHANGED = About("provider_changed", PROVIDERS,
        _("%(who)s changed the provider %(what)s"), asks=Act.PROVIDERS,
        when="A provider's settings, name, secret, or key was changed; the values before and after, never secrets")
    PROVIDER_SWITCHED_OFF = About("provider_switched_off", PROVIDERS, _("%(who)s turned off the provider %(what)s"),
        asks=Act.PROVIDERS, when="A provider was turned off. Its sessions were ended")
    PROVIDER_SWITCHED_ON = About("provider_switched_on", PROVIDERS, _("%(who)s turned on the provider %(what)s"),
        asks=Act.PROVIDERS, when="A provider was turned on again")
    PROVIDER_TRIED = About("provider_tried", PROVIDERS, _("%(who)s tested sign-in with the provider %(what)s"),
        when="A manager tested a provider with a test sign-in, which opens no session; whether it `works`, or `why` "
        "not")
    PROVIDER_DELETED = About("provider_deleted", PROVIDERS,
        _("%(who)s deleted the provider %(what)s"), asks=Act.PROVIDERS,
        when="A provider and its linked accounts were deleted. Its sessions were ended")
    DOMAIN_CLAIMED = About("domain_claimed", DOMAINS, _("%(who)s added the domain %(what)s"),
        asks=Act.PROVIDERS | Act.DOMAINS,
        when="A client claimed an email [domain](../domains.md), directly or through a provider that lists it")
    DOMAIN_PROVED = About("domain_proved", DOMAINS, _("The domain %(what)s was verified"),
        when="A domain was verified; `how` it was verified")
    DOMAIN_FAILING = About("domain_failing", DOMAINS, _("The record of the domain %(what)s is missing"), is_bad=True,
        when="The domain's record wasn't found. The domain stays verified for two weeks")
    DOMAIN_LAPSED = About("domain_lapsed", DOMAINS,
        _("The domain %(what)s is no longer verified, because its record was missing for two weeks"),
        is_bad=True, when="The record was missing for two weeks, and the domain is no longer verified")
    DOMAIN_CONTESTED = About("domain_contested", DOMAINS,
        _("Another client also claims the domain %(what)s"), is_bad=True,
        when="Another client published a record for the domain too; whether this client `holds` the domain")
    DOMAIN_MOVED = About("domain_moved", DOMAINS,
        _("The domain %(what)s moved from one client to another"), is_bad=True,
        when="The domain moved from another client, which released it or lost its record")
    DOMAIN_VOUCHED = About("domain_vouched", DOMAINS, _("%(who)s approved the domain %(what)s"), asks=Act.DOMAINS,
        when="A system admin or the command line approved a domain; the `reason`")
    DOMAIN_RELEASED = About("domain_released", DOMAINS, _("%(who)s released the domain %(what)s"), asks=Act.DOMAINS,
        when="The claim was removed, by a user or because nobody verified it for 30 days")
    ASSERTION_REPLAYED = About("assertion_replayed", SIGN_IN,
        _("A response from %(provider)s was used twice and rejected"),
        is_bad=True, when="A SAML assertion was used a second time, because a page was reloaded or someone has a copy")
    SIGN_IN_CODE_REUSED = About("sign_in_code_reused", SIGN_IN,
        _("A sign-in code of %(whom)s was used twice, and the session was ended"),
        account=_("Session ended, because its sign-in code was used twice"), is_bad=True, is_alarm=True,
        when="A one-time code was used a second time. The session that it was exchanged for was ended")
    SETUP_CODE_MADE = About("setup_code_made", SERVER, _("A setup code for the first system admin was created"),
        of_installation=True,
        when="The server printed a code for the first system admin when it started, or the command line did")
    SETUP_CODE_FAILED = About("setup_code_failed", SERVER, _("An incorrect setup code was entered"), is_bad=True,
        of_installation=True, when="Someone entered an invalid or expired setup code")
    ADMIN_CREATED = About("admin_created", SERVER,
        _("%(who)s created a system admin"), asks=Act.ADMINS, of_installation=True,
        when="A system admin was created")
    ADMIN_DISABLED = About("admin_disabled", SERVER, _("%(who)s disabled a system admin"), asks=Act.ADMINS,
        of_installation=True, when="A system admin was disabled. Their sessions were ended")
    ADMIN_ENABLED = About("admin_enabled", SERVER, _("%(who)s enabled a system admin"), asks=Act.ADMINS,
        of_installation=True, when="A disabled system admin was enabled again")
    ADMIN_PASSWORD_RESET = About("admin_password_reset", SERVER, _("%(who)s reset the password of a system admin"),
        asks=Act.ADMINS, of_installation=True,
        when="A system admin got a new random password from another system admin or from the command line")
    SECOND_FACTOR_BEGUN = About("second_factor_begun", SIGN_IN, _("%(whom)s started to set up a second factor"),
        asks_users=Act.FACTORS,
        when="A user or system admin started to set up an authenticator app, which waits for its first code")
    SECOND_FACTOR_ENROLLED = About("second_factor_enrolled", SIGN_IN, _("%(whom)s set up a second factor"),
        account=_("Authenticator app set up"), asks_users=Act.FACTORS,
        when="The first code of a new second factor was correct. The other sessions were ended; the `factor`, and "
        "whether it `replaces` one")
    SECOND_FACTOR_REMOVED = About("second_factor_removed", SIGN_IN, _("A second factor of %(whom)s was removed"),
        account=_("Authenticator app removed"), asks_users=Act.FACTORS,
        when="Users or system admins removed their second factor; or another system admin or the command line removed "
        "a system admin's")
    SECOND_FACTOR_FAILED = About("second_factor_failed", SIGN_IN,
        _("%(whom)s entered an incorrect second-factor code"),
        account=_("Failed sign-in: correct password, wrong code"), is_bad=True, is_alarm=True,
        when="After a correct password, the code was incorrect or used before; `why`")
    SECOND_FACTOR_RESET = About("second_factor_reset", USERS, _("%(who)s removed the second factors of %(whom)s"),
        account=_("Second factors removed by an administrator"), is_alarm=True, asks=Act.OTHERS_FACTORS,
        when="Someone with permission to manage users removed all second factors of a user; the `reason`, and how many "
        "factors were removed and sessions ended")
    PASSKEY_ADDED = About("passkey_added", SIGN_IN, _("%(whom)s added a passkey"), account=_("Passkey added"),
        asks_users=Act.FACTORS, when="A user added a passkey. Their other sessions were ended")
    PASSKEY_RENAMED = About("passkey_renamed", SIGN_IN, _("%(whom)s renamed a passkey"),
        when="A user renamed a passkey")
    PASSKEY_REMOVED = About("passkey_removed", SIGN_IN, _("%(whom)s removed a passkey"),
        account=_("Passkey removed"), asks_users=Act.FACTORS,
        when="A user removed a passkey. Their other sessions were ended")
    PASSKEY_COUNTER_REGRESSED = About("passkey_counter_regressed", SIGN_IN,
        _("A passkey of %(whom)s was rejected, because it might have been copied"),
        account=_("Passkey rejected, because it might have been copied"), is_bad=True, is_alarm=True,
        when="A passkey's counter didn't increase, so there might be a copy of it. The attempt was rejected")
    RECOVERY_CODES_MADE = About("recovery_codes_made", SIGN_IN, _("%(whom)s created new recovery codes"),
        account=_("New recovery codes created"), asks_users=Act.FACTORS,
        when="A user or system admin created new recovery codes. The previous ones are void")
    RECOVERY_CODE_USED = About("recovery_code_used", SIGN_IN, _("%(whom)s used a recovery code"),
        account=_("Recovery code used"), is_alarm=True,
        when="A user signed in with a recovery code instead of the second factor")
    BROWSER_TRUSTED = About("browser_trusted", SIGN_IN, _("%(whom)s trusted a browser"),
        account=_("Browser trusted"),
        when="A user chose to trust a browser; the number of `days` without a second factor there")
    BROWSER_TRUST_ENDED = About("browser_trust_ended", SIGN_IN, _("%(who)s removed trusted browsers of %(whom)s"),
        account=_("Trusted browsers removed"),
        when="Trusted browsers of a user were removed; the number of `browsers`")
    REAUTHENTICATED = About("reauthenticated", SIGN_IN, _("%(whom)s re-authenticated"),
        when="A signed-in user re-authenticated")
    REAUTHENTICATION_FAILED = About("reauthentication_failed", SIGN_IN, _("Re-authentication of %(whom)s failed"),
        account=_("Re-authentication failed"), is_bad=True, is_alarm=True,
        when="A signed-in user failed to re-authenticate")
    APP_CREATED = About("app_created", APPS, _("%(who)s added the app %(what)s"), asks=Act.APPS,
        when="An [app](../apps.md) was added; its settings")
    APP_CHANGED = About("app_changed", APPS, _("%(who)s changed the app %(what)s"), asks=Act.APPS,
        when="An app was changed; the values before and after. `sessions_ended`: if the app can request less, fewer "
        "users can sign in, or sign-in requires more. `old_ends`: when its secrets expire because it has a JWKS now")
    APP_DELETED = About("app_deleted", APPS, _("%(who)s removed the app %(what)s and ended its sessions"),
        asks=Act.APPS, when="An app was removed; the number of `sessions_ended`")
    APP_SECRET_CREATED = About("app_secret_created", APPS, _("%(who)s created a secret for the app %(what)s"),
        asks=Act.APPS, when="A secret of an app was created, `in_place_of` another one if it was rotated")
    APP_SECRET_REVOKED = About("app_secret_revoked", APPS, _("%(who)s revoked a secret of the app %(what)s"),
        when="A secret of an app was revoked")
    APP_AUTHORIZED = About("app_authorized", APPS, _("%(whom)s signed in to %(app)s"),
        account=_("Sign-in to an app"),
        when="A user signed in to an `app`; the `scopes`. Recorded at most once an hour for each user and app, and "
        "after each consent")
    APP_REFUSED = About("app_refused", APPS, _("%(whom)s can't use %(app)s"), is_bad=True,
        when="A user wasn't allowed to sign in to an `app`; `why`")
    CONSENT_GIVEN = About("consent_given", APPS, _("%(whom)s gave %(app)s access"),
        account=_("You gave an app access"), is_alarm=True,
        when="A user consented to what an `app` can see and do; the `scopes`")
    APP_CODE_REUSED = About("app_code_reused", APPS,
        _("%(app)s used a code twice for %(whom)s, and the session was ended"),
        account=_("App signed out, because its code was used twice"), is_bad=True, is_alarm=True,
        when="A code of an `app` was used again after it was exchanged for tokens. The session was ended")
    CONSENT_WITHDRAWN = About("consent_withdrawn", APPS, _("%(whom)s removed %(app)s from their account"),
        account=_("You removed an app from your account"),
        when="A user removed an `app` from *Apps with access*; the number of `sessions_ended`")
    PAIRING_BEGUN = About("pairing_begun", SIGN_IN, _("%(whom)s showed a code for a device to scan"),
        asks_users=Act.PAIRING, when="A user displayed a code for a device to scan")
    PAIRING_CLAIMED = About("pairing_claimed", SIGN_IN, _("A device scanned the code of %(whom)s"),
        when="A device scanned the code and waits for the user; the name that the device sent")
    DEVICE_APPROVED = About("device_approved", SIGN_IN, _("%(whom)s approved a device"), account=_("Device approved"),
        asks_users=Act.PAIRING,
        when="A user approved a device; `by` scan or code, from where, and the `roles` that it has")
    DEVICE_DENIED = About("device_denied", SIGN_IN, _("%(whom)s rejected a device"), account=_("Device rejected"),
        when="A user rejected a device; `why` is `asked`, `match` (the wrong number), or `replaced` (by a newer "
        "pairing)")
    DEVICE_CODE_REUSED = About("device_code_reused", SIGN_IN,
        _("A device code of %(whom)s was used twice, and the session was ended"),
        account=_("Device signed out, because its code was used twice"), is_bad=True, is_alarm=True,
        when="A device code was used again after its tokens were issued. Its session was ended")
    SERVICE_ACCOUNT_CREATED = About("service_account_created", MACHINES,
        _("%(who)s created the service account %(what)s"),
        asks=Act.SERVICE_ACCOUNTS, when="A [service account](../machine-callers.md) was created; its permissions")
    SERVICE_ACCOUNT_CHANGED = About("service_account_changed", MACHINES,
        _("%(who)s changed the service account %(what)s"),
        asks=Act.SERVICE_ACCOUNTS, when="A service account was changed; the values before and after")
    SERVICE_ACCOUNT_DISABLED = About("service_account_disabled", MACHINES,
        _("%(who)s disabled the service account %(what)s"),
        when="A service account was disabled. All its credentials are rejected")
    SERVICE_ACCOUNT_ENABLED = About("service_account_enabled", MACHINES,
        _("%(who)s enabled the service account %(what)s"), asks=Act.SERVICE_ACCOUNTS,
        when="A service account was enabled again")
    SERVICE_ACCOUNT_DELETED = About("service_account_deleted", MACHINES,
        _("%(who)s deleted the service account %(what)s"),
        asks=Act.SERVICE_ACCOUNTS, when="A service account was permanently deleted; the number of `secrets_ended`")
    SERVICE_TOKEN_ISSUED = About("service_token_issued", MACHINES,
        _("The service account %(what)s got an access token"),
        when="A service account got an access token; the `scope`, and `by` which method it authenticated. Recorded "
        "once per hour and account, with `kept_back`")
    SERVICE_SIGNED_IN = About("service_signed_in", MACHINES, _("The service account %(what)s called the API"),
        when="A service account called the API with an API key. Recorded once per hour and account. `kept_back`: the "
        "number of minutes with calls that weren't recorded")
    API_KEY_CREATED = About("api_key_created", MACHINES, _("%(who)s created an API key for %(what)s"),
        asks=Act.SERVICE_ACCOUNTS, when="An API key was created; its ID, label, last four characters, and expiration")
    API_KEY_ROTATED = About("api_key_rotated", MACHINES, _("%(who)s rotated an API key of %(what)s"),
        asks=Act.SERVICE_ACCOUNTS, when="An API key was created to replace another one, which expires at `old_ends`")
    API_KEY_REVOKED = About("api_key_revoked", MACHINES, _("%(who)s revoked an API key of %(what)s"),
        when="An API key was revoked; `by_holder`: by a caller who sent the key")
    API_KEY_EXPIRED = About("api_key_expired", MACHINES, _("An API key of %(what)s expired"),
        when="An API key expired")
    CLIENT_SECRET_CREATED = About("client_secret_created", MACHINES, _("%(who)s created a client secret for %(what)s"),
        asks=Act.SERVICE_ACCOUNTS,
        when="An OAuth client secret was created, `in_place_of` another one if it was rotated")
    CLIENT_SECRET_REVOKED = About("client_secret_revoked", MACHINES, _("%(who)s revoked a client secret of %(what)s"),
        when="An OAuth client secret was revoked")
    SCIM_CONNECTION_CREATED = About("scim_connection_created", PROVISIONING,
        _("%(who)s created the SCIM connection %(what)s"), asks=Act.SERVICE_ACCOUNTS,
        when="A SCIM connection was created; its settings")
    SCIM_CONNECTION_CHANGED = About("scim_connection_changed", PROVISIONING,
        _("%(who)s changed the SCIM connection %(what)s"), asks=Act.SERVICE_ACCOUNTS,
        when="A SCIM connection was changed; the values before and after")
    SCIM_CONNECTION_DELETED = About("scim_connection_deleted", PROVISIONING,
        _("%(who)s deleted the SCIM connection %(what)s"), asks=Act.SERVICE_ACCOUNTS,
        when="A SCIM connection and its tokens were deleted; its settings. Its users stayed")
    SCIM_USER_RELEASED = About("scim_user_released", PROVISIONING,
        _("%(who)s released %(whom)s from a SCIM connection"), asks=Act.SERVICE_ACCOUNTS,
        when="An Admin released a user from the SCIM `connection` that managed the user")
    SCIM_TOKEN_CREATED = About("scim_token_created", PROVISIONING,
        _("%(who)s created a token of the SCIM connection %(what)s"), asks=Act.SERVICE_ACCOUNTS,
        when="A token of a SCIM connection was created; its ID, last four characters, and expiration")
    SCIM_TOKEN_REVOKED = About("scim_token_revoked", PROVISIONING,
        _("%(who)s revoked a token of the SCIM connection %(what)s"), when="A token of a SCIM connection was revoked")
    SCIM_USER_ADOPTED = About("scim_user_adopted", PROVISIONING, _("%(who)s took over the account of %(whom)s"),
        account=_("Account managed by your organization's directory"),
        when="A SCIM connection took over an existing account; the `connection`")
    SCIM_USER_REMOVED = About("scim_user_removed", PROVISIONING, _("%(who)s removed %(whom)s"),
        when="A SCIM connection deleted a user, who was deactivated and lost the roles that it had granted; the "
        "`connection`")
    SCIM_GROUP_CHANGED = About("scim_group_changed", PROVISIONING, _("%(who)s changed a group"),
        when="A SCIM connection created, changed, or deleted a group; its name, and how many members were `added` and "
        "`removed`")
    SCIM_REFUSED = About("scim_refused", PROVISIONING, _("A request by %(who)s was rejected"), is_bad=True,
        when="A SCIM connection isn't allowed to do what it requested, or no license seat was available; `why`, and "
        "`kept_back`. At most one a minute")
    DEVICE_ENROLMENT_BEGUN = About("device_enrolment_begun", DEVICES,
        _("%(who)s created an enrollment code for a device"),
        asks=Act.DEVICES,
        when="A code to enroll a shared [device](../devices.md) was created; the name and place of the new device")
    DEVICE_ENROLMENT_DROPPED = About("device_enrolment_dropped", DEVICES,
        _("%(who)s revoked an enrollment code for a device"),
        when="An enrollment code was revoked before a device used it")
    DEVICE_ENROLLED = About("device_enrolled", DEVICES, _("The device %(what)s was enrolled"),
        when="A shared [device](../devices.md) was enrolled with a code; its name and place, and who created the code "
        "(`by`)")
    DEVICE_REMOVED = About("device_removed", DEVICES, _("%(who)s removed the device %(what)s"),
        when="A shared device was permanently removed; the number of `sessions_ended`")
    BADGE_ISSUED = About("badge_issued", DEVICES, _("%(who)s issued a badge to %(whom)s"),
        account=_("Badge issued"), asks=Act.OTHERS_PASSWORDS,
        when="A `standard` or `temporary` badge was issued to a user; when it expires, and the badge that it replaces")
    BADGE_ENDED = About("badge_ended", DEVICES, _("%(who)s revoked a badge of %(whom)s"),
        account=_("Badge revoked"), when="A badge was revoked; the number of `sessions_ended`")
    BADGE_PIN_SET = About("badge_pin_set", DEVICES, _("%(whom)s set the PIN of their badge"), account=_("PIN set"),
        asks_users=Act.PIN, when="A user set a PIN, or replaced a temporary one on a `device`")
    BADGE_PIN_RESET = About("badge_pin_reset", DEVICES, _("%(who)s gave %(whom)s a temporary PIN"),
        account=_("Temporary PIN issued"), is_alarm=True, asks=Act.OTHERS_FACTORS,
        when="A manager gave a user a temporary PIN; when it expires")
    BADGE_PIN_DEAD = About("badge_pin_dead", DEVICES,
        _("The PIN of %(whom)s was blocked after ten incorrect attempts in a row"),
        account=_("PIN blocked after ten incorrect attempts in a row"), is_bad=True, is_alarm=True,
        when="The tenth incorrect PIN in a row was entered, so the user needs a new one; the device")
    INSTALLATION_CHANGED = About("installation_changed", SERVER, _("%(who)s changed the settings of this server"),
        asks=Act.INSTALLATION, of_installation=True,
        when="The installation's settings were changed; the values before and after")
    THROTTLES_CLEARED = About("throttles_cleared", SIGN_IN, _("%(who)s cleared the rate limits of %(whom)s"),
        when="A system admin cleared rate limits; for whom, and how many")
    KEYS_MADE = About("keys_made", SERVER, _("Signing keys were created"), of_installation=True,
        when="The server created its first signing keys, or keys of a different algorithm, when it started; the "
        "`purposes`")
    KEYS_ROTATED = About("keys_rotated", SERVER,
        _("%(who)s rotated signing keys"), asks=Act.KEYS, of_installation=True,
        when="New signing keys were created; the `purposes`, and the `algorithm` if one was specified")
    KEY_RETIRED = About("key_retired", SERVER,
        _("%(who)s retired a signing key"), asks=Act.KEYS, of_installation=True,
        when="A signing key was retired, or revoked immediately; its state before and after")
    SECRETS_REENCRYPTED = About("secrets_reencrypted", SERVER, _("Stored secrets were encrypted again"),
        of_installation=True,
        when="Values that were encrypted with older secret keys were encrypted with the newest one; how many by "
        "column, and the values that no key can decrypt")
    SECRET_KEY_LOST = About("secret_key_lost", SERVER,
        _("The secret key was lost, and the audit trail restarted"), is_bad=True,
        of_installation=True,
        when="The command line replaced what the lost secret key had encrypted; the `reason`, and how many signing "
        "keys, providers, and chains")
    LICENSE_INSTALLED = About("license_installed", SERVER, _("%(who)s installed a license"), asks=Act.LICENCE,
        of_installation=True, when="A license key was installed; what it grants and revokes")
    LICENSE_REFUSED = About("license_refused", SERVER, _("A license key was rejected"), is_bad=True, asks=Act.LICENCE,
        of_installation=True, when="A license key was rejected, and nothing was changed; `why`")
    LICENSE_STATE_CHANGED = About("license_state_changed", SERVER, _("The state of the license changed"), is_bad=True,
        of_installation=True,
        when="The license entered its grace period, expired, or is valid again, or the clock was set back or is "
        "correct again; the state before and after")
    BACKED_UP = About("backed_up", SERVER, _("A backup was created"), of_installation=True,
        when="A backup was completed; `by` the command `backup`, or recorded manually (`note`)")
    RESTORED = About("restored", SERVER, _("A backup was restored"), is_bad=True, of_installation=True,
        when="The server started for the first time after a restore; in `note`, the times of the restore and of the "
        "backup, and how many sessions were ended")
    SCHEMA_UPGRADED = About("schema_upgraded", SERVER, _("The server was upgraded"), of_installation=True,
        when="The server started for the first time after a schema upgrade; in `note`, the old and new version")
    AUDIT_SWEPT = About("audit_swept", SERVER, _("Old events were deleted by the retention policy"),
        when="The retention policy deleted the chain's oldest events; how many, and the number and hash of the last "
        "one deleted")
    AUDIT_RESTARTED = About("audit_restarted", SERVER,
        _("The secret key was lost, and the audit trail restarted"), is_bad=True,
        when="In each chain, after the secret key was lost. From this event on, a new key protects the end of the "
        "chain. Nothing shows whether events were removed from the end before; the `sequence` and `hash` of the last "
        "event that existed")
    AUDIT_EXPORTED = About("audit_exported", SERVER, _("%(who)s downloaded the audit trail"), asks=Act.EXPORT,
        when="A user downloaded the client's audit trail; its format and filters")
    USERS_EXPORTED = About("users_exported", USERS, _("%(who)s downloaded the list of users"), asks=Act.EXPORT,
        when="A user downloaded the client's users as a file; how many, and the filters")
    DIRECTORY_CLAIMED = About("directory_claimed", DOMAINS, _("%(who)s added the Microsoft directory %(what)s"),
        asks=Act.PROVIDERS | Act.DOMAINS,
        when="A client claimed a Microsoft directory, directly or by saving a provider")
    DIRECTORY_PROVED = About("directory_proved", DOMAINS, _("The Microsoft directory %(what)s was verified"),
        when="An administrator of the directory signed in and verified it for the client; `tid`, `oid`, and `role`")
    DIRECTORY_VOUCHED = About("directory_vouched", DOMAINS, _("%(who)s approved the Microsoft directory %(what)s"),
        asks=Act.DOMAINS,
        when="A system admin or the operator approved the client's claim on the directory; the `reason`")
    DIRECTORY_GRANTED = About("directory_granted", DOMAINS,
        _("%(who)s granted the Microsoft directory %(what)s to this client"),
        asks=Act.DOMAINS, when="A system admin granted the directory to this client as well; the `reason`")
    DIRECTORY_REVOKED = About("directory_revoked", DOMAINS,
        _("%(who)s revoked the grant of the Microsoft directory %(what)s"), asks=Act.DOMAINS,
        when="Such a grant was revoked")
    DIRECTORY_RELEASED = About("directory_released", DOMAINS, _("%(who)s released the Microsoft directory %(what)s"),
        asks=Act.DOMAINS, when="The client's claim on the directory was removed; its former `state` and `proof`")
    PROVIDER_NAME_PINNED = About("provider_name_pinned", PROVIDERS, _("%(who)s pinned the provider name %(what)s"),
        asks=Act.PROVIDERS, of_installation=True,
        when="Requests that name a provider but no client now use a different client; the clients before and after, by "
        "number")
    # fmt: on


_BY_NAME = {event.value: event.about for event in Event}


def about(name: str) -> About:
    """Returns the event of a row of the trail. An unknown event is shown by its name."""
    return _BY_NAME.get(name) or About(name, SERVER, name.replace("%", "%%").replace("_", " "), "")


#: Names of events in lists, if the name in the trail isn't clear enough.
_LABELS = {
    "admin_gained": _("Became an Admin"),
    "app_refused": _("App sign-in blocked"),
    "access_refused": _("Access denied"),
    "assertion_replayed": _("SAML assertion used twice"),
    "audit_swept": _("Old events deleted"),
    "backed_up": _("Backup created"),
    "badge_ended": _("Badge revoked"),
    "badge_pin_dead": _("Badge PIN blocked"),
    "changed_provider_used": _("First sign-in with changed provider"),
    "credentials_dropped": _("Earlier sign-in methods removed"),
    "device_enrolment_begun": _("Device enrollment started"),
    "device_enrolment_dropped": _("Device enrollment code revoked"),
    "directory_proved": _("Directory verified"),
    "directory_vouched": _("Directory approved"),
    "domain_failing": _("Domain record missing"),
    "domain_lapsed": _("Domain no longer verified"),
    "domain_proved": _("Domain verified"),
    "domain_vouched": _("Domain approved"),
    "events_left_out": _("Further events omitted"),
    "identity_linked": _("Account linked"),
    "identity_unlinked": _("Account unlinked"),
    "keys_made": _("Keys created"),
    "license_refused": _("License rejected"),
    "mail_failed": _("Email not sent"),
    "pairing_begun": _("Pairing started"),
    "passkey_counter_regressed": _("Passkey possibly copied"),
    "password_rehashed": _("Password hash upgraded"),
    "provider_switched_off": _("Provider turned off"),
    "provider_switched_on": _("Provider turned on"),
    "provider_tried": _("Provider tested"),
    "recovery_codes_made": _("Recovery codes created"),
    "scim_refused": _("SCIM request rejected"),
    "seat_refused": _("No seat available"),
    "second_factor_begun": _("Second factor setup started"),
    "secrets_reencrypted": _("Secrets encrypted again"),
    "setup_code_made": _("Setup code created"),
    "sign_in_refused": _("Sign-in blocked"),
    "signed_out_all": _("Signed out everywhere"),
    "throttled": _("Rate limit reached"),
    "throttles_cleared": _("Rate limits cleared"),
    "user_restored": _("User reactivated"),
}


_SPELLED = (("Api ", "API "), ("Scim ", "SCIM "), (" pin ", " PIN "), ("Reauth", "Re-auth"), ("Sign in", "Sign-in"))


def label(name: str) -> str:
    """Returns the name of an event in a list. ``name`` is its name in the trail."""
    words = name.replace("_", " ").capitalize()
    for plain, spelled in _SPELLED:
        words = words.replace(plain, spelled)
    return _LABELS.get(name) or MarkedText(words, "", {}, "")


def table() -> str:
    """All events, with their names and when they are recorded, for the docs."""
    rows = "".join(f"| `{event.value}` | {event.about.when} |\n" for event in Event)
    return f"| Event | Recorded when |\n| --- | --- |\n{rows}"
