"""Catalogue of audit events: each is declared once, with all that trail, consoles, account pages and docs say of it."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from manifest_auth.text.languages import marked as _

#: Areas of the console's trail.
SIGN_IN = "Sign-in"
USERS = "Users"
SETTINGS = "Settings"
PROVIDERS = "Providers"
DOMAINS = "Domains"
SERVER = "Server"
MACHINES = "Machines"
DEVICES = "Devices"


class Act(enum.IntFlag):
    """``EMAIL``: a change of it, also of another user's; ``PASSWORD`` to ``IDENTITIES``: of one's own account;
    ``PASSWORD``: a change of it, which brings the current one; ``IDENTITIES``: also the confirmation of another's.
    ``RANKS``: someone becomes Admin or User Admin, or gets a link as such; of system admins, anyone gets access.
    ``DOMAINS``: of e-mail and of Microsoft directories. ``DELETION`` to ``INSTALLATION``: of system admins alone.
    ``SERVICE_ACCOUNTS``: all that gives a machine more, or a new secret. ``PAIRING``: a device is let in; ``PIN``: of
    one's own badge; ``DEVICES``: apps and shared devices of the client."""

    EMAIL = enum.auto()
    PASSWORD = enum.auto()
    FACTORS = enum.auto()
    IDENTITIES = enum.auto()
    OTHERS_FACTORS = enum.auto()
    SESSIONS = enum.auto()
    RANKS = enum.auto()
    OTHERS_PASSWORDS = enum.auto()
    PROVIDERS = enum.auto()
    DOMAINS = enum.auto()
    RULES = enum.auto()
    EXPORT = enum.auto()
    DELETION = enum.auto()
    ADMINS = enum.auto()
    KEYS = enum.auto()
    LICENCE = enum.auto()
    INSTALLATION = enum.auto()
    SERVICE_ACCOUNTS = enum.auto()
    PAIRING = enum.auto()
    PIN = enum.auto()
    DEVICES = enum.auto()


NOTHING = Act(0)


@dataclass(frozen=True, slots=True)
class About:
    """An event.

    - ``name``: in the trail.
    - ``area``: the subject, in a word.
    - ``told``: a sentence for the console, with places for names: ``who`` acted, ``whom`` or ``what`` it concerns,
      ``provider`` that had a part in it; ``through``: " through" that provider, or nothing where none had.
    - ``when``: when it is recorded, for the docs.
    - ``account``: a sentence for the person whom it concerns; empty: the account pages do not show it.
    - ``is_alarm``: the account pages ask whether it was them.
    - ``is_bad``: anyone who manages the client should look at it.
    - ``asks``: acts of users and system admins of which one asks for a recent proof. An act that is left out leaves an
      event that others leave. ``asks_users``, ``asks_admins``: the same, for events about their own account.
    - ``of_installation``: no client's chain has it.
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


class Event(enum.Enum):
    """Every event of the trail. ``value``: its name."""

    _value_: str
    about: About

    def __new__(cls, about: About) -> Event:
        made = object.__new__(cls)
        made._value_, made.about = about.name, about
        return made

    # One event after the other, as a table.
    # fmt: off
    SIGNED_IN = About("signed_in", SIGN_IN, "%(whom)s signed in%(through)s", account=_("Sign-in"),
        when="a sign-in succeeded; or a token of Entra ID was judged, which is done anew after five minutes. "
        "`parent`: an app got this session from that one, by *Continue as …*")
    SIGN_IN_FAILED = About("sign_in_failed", SIGN_IN, "A sign-in%(through)s failed: %(whom)s",
        account=_("A sign-in that did not work"), is_bad=True, is_alarm=True,
        when="wrong password or unknown account; a one-time link that does not work any more; or what came from a "
        "provider was not accepted: `why` says the reason")
    SIGN_IN_REFUSED = About("sign_in_refused", SIGN_IN, "A sign-in%(through)s was refused: %(whom)s",
        account=_("A sign-in that was refused"), is_bad=True, is_alarm=True,
        when="right password or assertion, but the user is deactivated or the client suspended")
    ACCESS_REFUSED = About("access_refused", SIGN_IN, "%(who)s was refused what needs another role", is_bad=True,
        when="a known caller was refused: a role is missing, `X-Client-ID` names another client, the token is for the "
        "other plane, or the session of a refresh token is over; `why`, `route`, `kept_back`")
    SEAT_REFUSED = About("seat_refused", USERS, "No licence seat was free for what %(who)s asked for", is_bad=True,
        when="someone was to be created, invited or restored, or given a role, for whom the licence has no seat left")
    THROTTLED = About("throttled", SIGN_IN, "Too many attempts were stopped: %(whom)s",
        account=_("Too many attempts; the next ones had to wait"), is_bad=True, is_alarm=True,
        when="an attempt was refused by the throttle, and not tried")
    EVENTS_LEFT_OUT = About("events_left_out", SIGN_IN,
        "More failed sign-ins of the same kind were counted and not listed", is_bad=True,
        when="anonymous callers caused so many events of a class, from one address, in the client or of one account, "
        "that the next ones are [only counted](../decisions/0030-anonymous-limits.md): whose budget, the class, how "
        "many so far, and the kind of the last one")
    SIGNED_OUT = About("signed_out", SIGN_IN, "%(whom)s signed out",
        when="a session was ended by its owner, with itself; or a token of Entra ID was signed out")
    SIGNED_OUT_ALL = About("signed_out_all", SIGN_IN, "%(who)s ended all sessions of %(whom)s",
        account=_("Sessions were ended"), asks_admins=Act.SESSIONS | Act.ADMINS,
        when="all sessions of a user were ended, by the user or by an admin")
    SESSION_ENDED = About("session_ended", SIGN_IN, "%(who)s ended a session of %(whom)s",
        account=_("A session was ended"),
        when="one session of a user was ended, by the user from another one or by an admin")
    REFRESH_TOKEN_REUSED = About("refresh_token_reused", SIGN_IN,
        "A used refresh token of %(whom)s came back; the session was ended",
        account=_("A session was ended, because its key was used a second time"), is_bad=True, is_alarm=True,
        when="a replaced refresh token was shown; the session was ended")
    PASSWORD_CHANGED = About("password_changed", SIGN_IN, "%(whom)s changed their password",
        account=_("Password changed"), asks_users=Act.PASSWORD,
        when="a user set a new password; the other sessions were ended")
    PASSWORD_CHECK_FAILED = About("password_check_failed", SIGN_IN, "%(whom)s gave a wrong current password",
        account=_("A wrong password, typed by someone who was signed in to your account"), is_bad=True, is_alarm=True,
        when="a signed-in user or system admin was asked for the password again, and gave a wrong one; with `why`, a "
        "system admin's first code of a second factor was wrong")
    PASSWORD_REHASHED = About("password_rehashed", SIGN_IN, "The stored password of %(whom)s was strengthened",
        when="the hash was replaced by one of today's settings at a sign-in")
    CLIENT_CREATED = About("client_created", SETTINGS, "%(who)s made this client",
        when="an admin or the command line created a client")
    CLIENT_CHANGED = About("client_changed", SETTINGS, "%(who)s changed the rules", asks=Act.RULES,
        when="a client's name or settings were changed; before and after")
    BRANDING_CHANGED = About("branding_changed", SETTINGS, "%(who)s changed the branding",
        when="the name, the colour or the logo that a client's pages show was changed; before and after")
    CLIENT_SUSPENDED = About("client_suspended", SETTINGS, "%(who)s suspended this client", is_bad=True,
        when="a client was suspended; its sessions were ended")
    CLIENT_RESTORED = About("client_restored", SETTINGS, "%(who)s let this client work again",
        when="a suspended client was let in again, or its deletion taken back; before and after")
    CLIENT_DELETION_STARTED = About("client_deletion_started", SETTINGS, "%(who)s marked this client for deletion",
        is_bad=True, asks=Act.DELETION,
        when="a client was marked for deletion, and suspended; also in the installation's chain")
    CLIENT_DELETED = About("client_deleted", SETTINGS, "This client was deleted", is_bad=True, of_installation=True,
        when="the time was over, and all of the client is gone: how many events its chain had, the last one's `hash`, "
        "whether it was kept")
    USER_CREATED = About("user_created", USERS, "%(who)s added %(whom)s", asks=Act.RANKS, when="a user was created")
    USER_CHANGED = About("user_changed", USERS, "%(who)s changed the details of %(whom)s", account=_("Profile changed"),
        when="a user's names, description or address were changed; what changed, before and after")
    USER_ROLES_CHANGED = About("user_roles_changed", USERS, "%(who)s changed the roles of %(whom)s",
        account=_("Roles changed"), asks=Act.IDENTITIES | Act.RANKS | Act.PROVIDERS,
        when="a user's roles were set, by an admin or by a provider's groups; before and after")
    ADMIN_GAINED = About("admin_gained", USERS, "%(whom)s became an Admin", account=_("You became an Admin"),
        when="an active user became an Admin: by which `path` (`set_user_roles`, `admin_plane`, `groups`, `restored`, "
        "`command_line`), `by` whom, how much of the account was `void`, how many identities were kept "
        "([why](../decisions/0034-gain-of-admin.md))")
    ADMIN_ROLE_WITHHELD = About("admin_role_withheld", USERS,
        "%(whom)s did not become an Admin by groups of %(provider)s", is_bad=True,
        when="a provider's groups gave the role Admin to an identity that is not proved: it was not given")
    CREDENTIALS_DROPPED = About("credentials_dropped", USERS, "Older ways into the account of %(whom)s were closed",
        account=_("Former ways into your account were closed"),
        when="a provider's person was linked to the account by the address alone: how much that was there before was "
        "`void`")
    USER_DEACTIVATED = About("user_deactivated", USERS, "%(who)s deactivated %(whom)s",
        account=_("Your account was switched off"),
        when="a user was deactivated; the sessions were ended, open links closed")
    USER_RESTORED = About("user_restored", USERS, "%(who)s let %(whom)s in again",
        account=_("Your account was switched on again"), asks=Act.RANKS, when="a deactivated user was let in again")
    USER_INVITED = About("user_invited", USERS, "%(who)s invited %(whom)s", account=_("An invitation link was created"),
        asks=Act.RANKS,
        when="a link was made with which a user comes in for the first time; `shown` to the one who asked, or else "
        "e-mailed")
    INVITATION_ACCEPTED = About("invitation_accepted", USERS, "%(whom)s accepted the invitation",
        account=_("An invitation link was used"),
        when="a user chose a first password with that link, and was signed in; `made_by`")
    PASSWORD_RESET_STARTED = About("password_reset_started", SIGN_IN,
        "A link to choose a new password was made for %(whom)s",
        account=_("A link to choose a new password was asked for"),
        when="a link to choose a new password was made, by an admin or the command line, or `by` mail for one who "
        "forgot it or put an old address back; `shown` as above")
    PASSWORD_RESET = About("password_reset", SIGN_IN, "%(whom)s chose a new password by a link",
        account=_("A new password was chosen by a link"),
        when="a user chose a new password with that link; the sessions were ended; `made_by`")
    EMAIL_CHANGE_STARTED = About("email_change_started", USERS,
        "A new e-mail address of %(whom)s waits to be confirmed", account=_("Another e-mail address was asked for"),
        asks=Act.EMAIL,
        when="another address was asked for, by the user or by an admin; before and after, `taken` by another "
        "account, until when it may be confirmed")
    EMAIL_CHANGED = About("email_changed", USERS, "%(whom)s has a new e-mail address",
        account=_("E-mail address changed"),
        when="the new mailbox confirmed, and the address took effect; before and after, `started_by`")
    EMAIL_CHANGE_UNDONE = About("email_change_undone", USERS, "%(whom)s has the former e-mail address again",
        account=_("The former e-mail address was put back"), is_bad=True,
        when="the old mailbox put its address back; before and after. The sessions were ended, the password is void; "
        "`void` counts what else ended, of what was added shortly before the change was requested, or later")
    MAIL_FAILED = About("mail_failed", SERVER, "An e-mail to %(whom)s could not be sent", is_bad=True,
        when="the mail server did not take an e-mail for an hour, or `refused` it for good with that reply code: its "
        "`purpose`, how many `tries`, `since` when")
    IDENTITY_LINKED = About("identity_linked", SIGN_IN, "%(whom)s was linked to an identity at %(provider)s",
        account=_("An identity at a provider was linked"),
        when="a person of a provider became a user: `how` says by which right")
    IDENTITY_CONFIRMED = About("identity_confirmed", SIGN_IN, "%(who)s confirmed an identity of %(whom)s",
        account=_("An identity at a provider was confirmed"), asks=Act.IDENTITIES,
        when="an Admin said that an identity is the user's")
    IDENTITY_UNLINKED = About("identity_unlinked", SIGN_IN, "%(who)s unlinked an identity of %(whom)s",
        account=_("An identity at a provider was unlinked"), asks_users=Act.IDENTITIES,
        when="an identity was taken from a user")
    CHANGED_PROVIDER_USED = About("changed_provider_used", SIGN_IN,
        "%(whom)s came through %(provider)s, for the first time since a User Admin changed it",
        account=_("A sign-in through a provider whose settings were changed"), is_alarm=True,
        when="a known person came through a provider for the first time since a User Admin changed who says who people "
        "are there")
    PROVIDER_CREATED = About("provider_created", PROVIDERS, "%(who)s added the provider %(what)s", asks=Act.PROVIDERS,
        when="a provider was made; its settings, never its secrets")
    PROVIDER_CHANGED = About("provider_changed", PROVIDERS, "%(who)s changed the provider %(what)s", asks=Act.PROVIDERS,
        when="a provider's settings, name, secret or key were changed; before and after")
    PROVIDER_SWITCHED_OFF = About("provider_switched_off", PROVIDERS, "%(who)s switched off the provider %(what)s",
        asks=Act.PROVIDERS, when="a provider was switched off; its sessions were ended")
    PROVIDER_SWITCHED_ON = About("provider_switched_on", PROVIDERS, "%(who)s switched on the provider %(what)s",
        asks=Act.PROVIDERS, when="a provider was switched on again")
    PROVIDER_TRIED = About("provider_tried", PROVIDERS, "%(who)s tried the provider %(what)s",
        when="a manager signed in at a provider to try it out, which opens no session: whether it `works`, and `why` "
        "not")
    PROVIDER_DELETED = About("provider_deleted", PROVIDERS, "%(who)s deleted the provider %(what)s", asks=Act.PROVIDERS,
        when="a provider and its links were deleted; its sessions were ended")
    DOMAIN_CLAIMED = About("domain_claimed", DOMAINS, "%(who)s claimed the domain %(what)s",
        asks=Act.PROVIDERS | Act.DOMAINS,
        when="a client claims an e-mail [domain](../domains.md), by hand or by a provider that lists it")
    DOMAIN_PROVED = About("domain_proved", DOMAINS, "The domain %(what)s was proved",
        when="the claim counts from now on: `how`")
    DOMAIN_FAILING = About("domain_failing", DOMAINS, "The record of the domain %(what)s is missing", is_bad=True,
        when="the domain's record was not found; it counts for two weeks")
    DOMAIN_LAPSED = About("domain_lapsed", DOMAINS, "The domain %(what)s lapsed: its record was missing for two weeks",
        is_bad=True, when="two weeks without the record: the domain counts no more")
    DOMAIN_CONTESTED = About("domain_contested", DOMAINS, "Another client claims the domain %(what)s too", is_bad=True,
        when="another client showed a record of the domain, too; `holds` says whether this client has it")
    DOMAIN_MOVED = About("domain_moved", DOMAINS, "The domain %(what)s moved from one client to another", is_bad=True,
        when="the domain came from another client, which released it or lost its record")
    DOMAIN_VOUCHED = About("domain_vouched", DOMAINS, "%(who)s vouched for the domain %(what)s", asks=Act.DOMAINS,
        when="a system admin or the command line vouched: `reason`")
    DOMAIN_RELEASED = About("domain_released", DOMAINS, "%(who)s released the domain %(what)s", asks=Act.DOMAINS,
        when="the claim went: by hand, or since no one proved it for 30 days")
    ASSERTION_REPLAYED = About("assertion_replayed", SIGN_IN, "An answer of %(provider)s was shown twice and refused",
        is_bad=True, when="a SAML assertion was shown a second time: a page loaded again, or someone has a copy")
    SIGN_IN_CODE_REUSED = About("sign_in_code_reused", SIGN_IN,
        "A used sign-in code of %(whom)s came back; the session was ended",
        account=_("A session was ended, because its sign-in code was used a second time"), is_bad=True, is_alarm=True,
        when="a one-time code was shown a second time; the session it was exchanged for was ended")
    SETUP_CODE_MADE = About("setup_code_made", SERVER, "A setup code for the first system admin was made",
        of_installation=True, when="a start, or the command line, printed a code for the first system admin")
    SETUP_CODE_FAILED = About("setup_code_failed", SERVER, "A wrong setup code was entered", is_bad=True,
        of_installation=True, when="someone showed a setup code that is none, or too old")
    ADMIN_CREATED = About("admin_created", SERVER, "%(who)s made a system admin", asks=Act.ADMINS, of_installation=True,
        when="a system admin was created")
    ADMIN_DISABLED = About("admin_disabled", SERVER, "%(who)s disabled a system admin", asks=Act.ADMINS,
        of_installation=True, when="a system admin was disabled; the sessions were ended")
    ADMIN_ENABLED = About("admin_enabled", SERVER, "%(who)s enabled a system admin", asks=Act.ADMINS,
        of_installation=True, when="a disabled system admin was let in again")
    ADMIN_PASSWORD_RESET = About("admin_password_reset", SERVER, "%(who)s reset the password of a system admin",
        asks=Act.ADMINS, of_installation=True,
        when="a system admin was given a new random password by another one, or by the command line")
    SECOND_FACTOR_BEGUN = About("second_factor_begun", SIGN_IN, "%(whom)s began to set up a second factor",
        asks_users=Act.FACTORS,
        when="a user or system admin began to set an authenticator app up, which waits for its first code")
    SECOND_FACTOR_ENROLLED = About("second_factor_enrolled", SIGN_IN, "%(whom)s set up a second factor",
        account=_("An authenticator app was set up"), asks_users=Act.FACTORS,
        when="its first code was right, and the other sessions were ended; `factor`, and whether it `replaces` one")
    SECOND_FACTOR_REMOVED = About("second_factor_removed", SIGN_IN, "A second factor of %(whom)s was removed",
        account=_("The authenticator app was removed"), asks_users=Act.FACTORS,
        when="it was removed, by its owner; a system admin's also by another one or the command line")
    SECOND_FACTOR_FAILED = About("second_factor_failed", SIGN_IN, "%(whom)s gave a wrong code of the second factor",
        account=_("A sign-in with a right first step and a wrong code after it"), is_bad=True, is_alarm=True,
        when="a wrong code, or one that was used before, behind a right first proof: `why`")
    SECOND_FACTOR_RESET = About("second_factor_reset", USERS, "%(who)s took the second factors of %(whom)s away",
        account=_("Your second factors were taken away"), is_alarm=True, asks=Act.OTHERS_FACTORS,
        when="someone who manages users took all factors of a user away: `reason`, how many, and how many sessions "
        "ended")
    PASSKEY_ADDED = About("passkey_added", SIGN_IN, "%(whom)s added a passkey", account=_("A passkey was added"),
        asks_users=Act.FACTORS, when="a user added a passkey, and the other sessions were ended")
    PASSKEY_RENAMED = About("passkey_renamed", SIGN_IN, "%(whom)s renamed a passkey",
        when="a user gave one of their passkeys another name")
    PASSKEY_REMOVED = About("passkey_removed", SIGN_IN, "%(whom)s removed a passkey",
        account=_("A passkey was removed"), asks_users=Act.FACTORS,
        when="a user removed a passkey, and the other sessions were ended")
    PASSKEY_COUNTER_REGRESSED = About("passkey_counter_regressed", SIGN_IN,
        "A passkey of %(whom)s was refused: there may be a copy of it",
        account=_("A passkey was refused: there may be a copy of it"), is_bad=True, is_alarm=True,
        when="a passkey's counter did not go on: there may be a copy of it; the attempt was refused")
    RECOVERY_CODES_MADE = About("recovery_codes_made", SIGN_IN, "%(whom)s made new recovery codes",
        account=_("New recovery codes were made"), asks_users=Act.FACTORS,
        when="a user or system admin made new recovery codes; those before are void")
    RECOVERY_CODE_USED = About("recovery_code_used", SIGN_IN, "%(whom)s used a recovery code",
        account=_("A recovery code was used"), is_alarm=True,
        when="a user used a recovery code in place of the second factor")
    BROWSER_TRUSTED = About("browser_trusted", SIGN_IN, "%(whom)s asked that a browser is trusted for a while",
        account=_("A browser is not asked for the second factor for a while"),
        when="a browser is not asked for the user's second factor for so many `days`")
    BROWSER_TRUST_ENDED = About("browser_trust_ended", SIGN_IN, "%(who)s ended the trust of browsers of %(whom)s",
        account=_("Browsers are asked for the second factor again"), when="a user ended that, for so many `browsers`")
    REAUTHENTICATED = About("reauthenticated", SIGN_IN, "%(whom)s proved again who they are",
        when="a signed-in user proved again who they are")
    REAUTHENTICATION_FAILED = About("reauthentication_failed", SIGN_IN, "%(whom)s failed to prove again who they are",
        account=_("A proof that was asked for again did not fit"), is_bad=True, is_alarm=True,
        when="a signed-in user was asked to, and gave a wrong proof")
    DEVICE_APP_CREATED = About("device_app_created", SETTINGS, "%(who)s made the device app %(what)s", asks=Act.DEVICES,
        when="a client got another app for [devices](../devices.md)")
    DEVICE_APP_CHANGED = About("device_app_changed", SETTINGS, "%(who)s renamed the device app %(what)s",
        asks=Act.DEVICES, when="it got another name; before and after")
    DEVICE_APP_REMOVED = About("device_app_removed", SETTINGS,
        "%(who)s removed the device app %(what)s; its devices were signed out", asks=Act.DEVICES,
        when="it was removed, and so many `sessions_ended`")
    PAIRING_BEGUN = About("pairing_begun", SIGN_IN, "%(whom)s showed a code for a device to scan",
        asks_users=Act.PAIRING, when="a user showed a code for a device to scan")
    PAIRING_CLAIMED = About("pairing_claimed", SIGN_IN, "A device scanned the code of %(whom)s",
        when="a device scanned it, and waits for the user; how it calls itself")
    DEVICE_APPROVED = About("device_approved", SIGN_IN, "%(whom)s let a device in", account=_("A device was let in"),
        asks_users=Act.PAIRING,
        when="a user let a device in: `by` scan or code, from where, and the `roles` that it has")
    DEVICE_DENIED = About("device_denied", SIGN_IN, "%(whom)s refused a device", account=_("A device was refused"),
        when="a user refused a device: `why` `asked`, `match` (the wrong number) or `replaced` (by a newer pairing)")
    DEVICE_CODE_REUSED = About("device_code_reused", SIGN_IN,
        "A used device code of %(whom)s came back; the session was ended",
        account=_("A device was signed out, because its code was used a second time"), is_bad=True, is_alarm=True,
        when="a device code was shown again after its tokens were given; its session ended")
    SERVICE_ACCOUNT_CREATED = About("service_account_created", MACHINES, "%(who)s made the service account %(what)s",
        asks=Act.SERVICE_ACCOUNTS, when="a [service account](../machine-callers.md) was made; what it has")
    SERVICE_ACCOUNT_CHANGED = About("service_account_changed", MACHINES, "%(who)s changed the service account %(what)s",
        asks=Act.SERVICE_ACCOUNTS, when="it was changed; before and after")
    SERVICE_ACCOUNT_DISABLED = About("service_account_disabled", MACHINES,
        "%(who)s disabled the service account %(what)s", when="all its credentials are refused from then on")
    SERVICE_ACCOUNT_ENABLED = About("service_account_enabled", MACHINES,
        "%(who)s let the service account %(what)s in again", asks=Act.SERVICE_ACCOUNTS, when="it was let in again")
    SERVICE_ACCOUNT_DELETED = About("service_account_deleted", MACHINES, "%(who)s deleted the service account %(what)s",
        asks=Act.SERVICE_ACCOUNTS, when="it was ended for good, and so many `secrets_ended`")
    SERVICE_TOKEN_ISSUED = About("service_token_issued", MACHINES, "The service account %(what)s got an access token",
        when="a service account got an access token: its `scope`, and `by` which way it proved who it is; once an "
        "hour and account, with `kept_back`")
    SERVICE_SIGNED_IN = About("service_signed_in", MACHINES, "The service account %(what)s called",
        when="it called with an API key; once an hour and account, `kept_back`: how many minutes of use were left out")
    API_KEY_CREATED = About("api_key_created", MACHINES, "%(who)s made an API key of %(what)s",
        asks=Act.SERVICE_ACCOUNTS, when="an API key was made; its id, label, last four characters and end")
    API_KEY_ROTATED = About("api_key_rotated", MACHINES, "%(who)s rotated an API key of %(what)s",
        asks=Act.SERVICE_ACCOUNTS, when="one was made in place of another, which ends at `old_ends`")
    API_KEY_REVOKED = About("api_key_revoked", MACHINES, "%(who)s revoked an API key of %(what)s",
        when="one was ended; `by_holder`: by someone who showed it")
    API_KEY_EXPIRED = About("api_key_expired", MACHINES, "An API key of %(what)s reached its end",
        when="one came to its end")
    CLIENT_SECRET_CREATED = About("client_secret_created", MACHINES, "%(who)s made a client secret of %(what)s",
        asks=Act.SERVICE_ACCOUNTS, when="an OAuth client secret was made, `in_place_of` another where it was rotated")
    CLIENT_SECRET_REVOKED = About("client_secret_revoked", MACHINES, "%(who)s revoked a client secret of %(what)s",
        when="one was ended")
    DEVICE_ENROLMENT_BEGUN = About("device_enrolment_begun", DEVICES, "%(who)s made a code that enrols a device",
        asks=Act.DEVICES,
        when="someone made a code that enrols a shared [device](../devices.md); name and place of the device to come")
    DEVICE_ENROLMENT_DROPPED = About("device_enrolment_dropped", DEVICES,
        "%(who)s took back a code that enrols a device", when="it was taken back before a device used it")
    DEVICE_ENROLLED = About("device_enrolled", DEVICES, "The device %(what)s was enrolled",
        when="a shared [device](../devices.md) enrolled itself with a code; its name and place, and who made the code "
        "(`by`)")
    DEVICE_REMOVED = About("device_removed", DEVICES, "%(who)s removed the device %(what)s",
        when="it was removed for good, and so many `sessions_ended`")
    BADGE_ISSUED = About("badge_issued", DEVICES, "%(who)s issued a badge to %(whom)s",
        account=_("A badge was issued to you"), asks=Act.OTHERS_PASSWORDS,
        when="a user got a badge, `standard` or `temporary`, until when, in place of which")
    BADGE_ENDED = About("badge_ended", DEVICES, "%(who)s ended a badge of %(whom)s",
        account=_("A badge of yours was ended"), when="it was ended, and so many `sessions_ended`")
    BADGE_PIN_SET = About("badge_pin_set", DEVICES, "%(whom)s set the PIN of their badge", account=_("A PIN was set"),
        asks_users=Act.PIN, when="a user set a PIN, or chose one in place of a temporary one at a `device`")
    BADGE_PIN_RESET = About("badge_pin_reset", DEVICES, "%(who)s gave %(whom)s a temporary PIN",
        account=_("You were given a temporary PIN"), is_alarm=True, asks=Act.OTHERS_FACTORS,
        when="a manager gave a user a temporary PIN; until when")
    BADGE_PIN_DEAD = About("badge_pin_dead", DEVICES, "The PIN of %(whom)s ended after ten wrong ones in a row",
        account=_("Your PIN ended after ten wrong ones in a row"), is_bad=True, is_alarm=True,
        when="the tenth wrong PIN in a row: the user needs another one; on which device")
    INSTALLATION_CHANGED = About("installation_changed", SERVER, "%(who)s changed the installation",
        asks=Act.INSTALLATION, of_installation=True,
        when="what is settled for the installation was changed; before and after")
    THROTTLES_CLEARED = About("throttles_cleared", SIGN_IN, "%(who)s let %(whom)s try to sign in again",
        when="a system admin let someone go whom the throttle held back: who was named, how many counters there were")
    KEYS_MADE = About("keys_made", SERVER, "Signing keys were made", of_installation=True,
        when="a start made the first signing keys, or those of another algorithm; for which `purposes`")
    KEYS_ROTATED = About("keys_rotated", SERVER, "%(who)s renewed signing keys", asks=Act.KEYS, of_installation=True,
        when="new signing keys were made; for which `purposes`; `algorithm` where one was named")
    KEY_RETIRED = About("key_retired", SERVER, "%(who)s retired a signing key", asks=Act.KEYS, of_installation=True,
        when="a signing key was retired, or made void at once; before and after")
    SECRETS_REENCRYPTED = About("secrets_reencrypted", SERVER, "Stored secrets were encrypted anew",
        of_installation=True,
        when="what older secret keys had sealed was sealed with the newest: how many by column, and what none opened")
    SECRET_KEY_LOST = About("secret_key_lost", SERVER, "The secret key was lost: the trail begins anew", is_bad=True,
        of_installation=True,
        when="the command line replaced what the lost secret key had sealed: `reason`, how many signing keys, "
        "providers and chains")
    LICENSE_INSTALLED = About("license_installed", SERVER, "%(who)s installed a licence", asks=Act.LICENCE,
        of_installation=True, when="a licence key was installed: what it grants and revokes")
    LICENSE_REFUSED = About("license_refused", SERVER, "A licence key was refused", is_bad=True, asks=Act.LICENCE,
        of_installation=True, when="a licence key was refused: `why`; nothing was changed")
    LICENSE_STATE_CHANGED = About("license_state_changed", SERVER, "The state of the licence changed", is_bad=True,
        of_installation=True,
        when="the licence came into its grace, ended, or is valid again; or the clock was set back or right again; "
        "before and after")
    BACKED_UP = About("backed_up", SERVER, "A backup was made", of_installation=True,
        when="a backup was complete: `by` the command `backup`, or noted by hand (`note`)")
    RESTORED = About("restored", SERVER, "A backup was restored", is_bad=True, of_installation=True,
        when="the first start after a restore: in `note` when it was done, of which moment the backup is, how many "
        "sessions it ended")
    SCHEMA_UPGRADED = About("schema_upgraded", SERVER, "The server was upgraded", of_installation=True,
        when="the first start after an upgrade of the schema: in `note` from which and to which")
    AUDIT_SWEPT = About("audit_swept", SERVER, "Old events were removed, as the retention rule says",
        when="retention removed the chain's oldest events: how many, and number and hash of the last of them")
    AUDIT_RESTARTED = About("audit_restarted", SERVER, "The secret key was lost: the trail begins anew", is_bad=True,
        when="the same, in each chain: a new key proves the chain's end from here on. Nothing proves that no event "
        "was cut off before; `sequence` and `hash` of the last one that was there")
    AUDIT_EXPORTED = About("audit_exported", SERVER, "%(who)s downloaded the audit trail", asks=Act.EXPORT,
        when="a user took the client's trail as a file: its format, and the filters")
    DIRECTORY_CLAIMED = About("directory_claimed", DOMAINS, "%(who)s claimed the Microsoft directory %(what)s",
        asks=Act.PROVIDERS | Act.DOMAINS,
        when="a client claimed a Microsoft directory, by itself or with a provider that was saved")
    DIRECTORY_PROVED = About("directory_proved", DOMAINS, "The Microsoft directory %(what)s was proved",
        when="an administrator of it signed in for the client: `tid`, `oid`, `role`")
    DIRECTORY_VOUCHED = About("directory_vouched", DOMAINS, "%(who)s vouched for the Microsoft directory %(what)s",
        asks=Act.DOMAINS, when="a system admin, or the operator, said that it is the client's: `reason`")
    DIRECTORY_GRANTED = About("directory_granted", DOMAINS, "%(who)s granted the Microsoft directory %(what)s",
        asks=Act.DOMAINS, when="a system admin gave it to this client as well: `reason`")
    DIRECTORY_REVOKED = About("directory_revoked", DOMAINS,
        "%(who)s took back the grant of the Microsoft directory %(what)s", asks=Act.DOMAINS,
        when="such a grant was taken back")
    DIRECTORY_RELEASED = About("directory_released", DOMAINS, "%(who)s released the Microsoft directory %(what)s",
        asks=Act.DOMAINS, when="the client claims it no more; what `state` and `proof` it had")
    PROVIDER_NAME_PINNED = About("provider_name_pinned", PROVIDERS, "%(who)s pinned the provider name %(what)s",
        asks=Act.PROVIDERS, of_installation=True,
        when="a provider's name means another client's where none is named; before and after, by number")
    # fmt: on


_BY_NAME = {event.value: event.about for event in Event}


def about(name: str) -> About:
    """The event of a row of the trail; one that no release here knows is told by its name."""
    return _BY_NAME.get(name) or About(name, SERVER, name.replace("%", "%%").replace("_", " "), "")


def label(name: str) -> str:
    """The name of an event in a list, by its name in the trail."""
    return name.replace("_", " ").capitalize()


def table() -> str:
    """All events, by name and when they are recorded, as the docs have them."""
    rows = "".join(f"| `{event.value}` | {event.about.when} |\n" for event in Event)
    return f"| event | when |\n| --- | --- |\n{rows}"
