"""Every email in every language is complete, has its link on a separate line, and contains no user-written text."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable

from manifest_auth.runtime.mail import Email, Link, Reader, RemovedData, emails
from manifest_auth.runtime.settings import DAY, HOUR, MINUTE
from manifest_auth.text.languages import LANGUAGES
from tests.support.matrix import matrix

LINK = Link("https://auth.example/welcome#abc-123", 72 * HOUR)
INVITER = "Ada Lovelace (ada@acme.example)"
CLIENT, DOMAIN, NAME, VALUE = "100 % Acme %(x)s", "acme.example", "_manifest.acme.example", "proof=abc"
READER = Reader("ada@engines.example", "en", CLIENT)
EVERYTHING = RemovedData(app=True, passkeys=1, recovery_codes=True, identities=2, badges=1, pin=True)
#: An email to a reader, by the name of its function.
MADE: dict[str, Callable[[Reader], Email]] = {
    "invitation": lambda to: emails.invitation(to, LINK, INVITER),
    "reset": lambda to: emails.reset(to, LINK),
    "access_link": lambda to: emails.access_link(to, LINK),
    "email_confirm": lambda to: emails.email_confirm(to, LINK),
    "email_taken": emails.email_taken,
    "email_asked": emails.email_asked,
    "email_changed": lambda to: emails.email_changed(to, LINK),
    "email_undone": lambda to: emails.email_undone(to, LINK, EVERYTHING, manages=True),
    "app_added": lambda to: emails.app_added(to, "192.0.2.1"),
    "recovery_code_used": lambda to: emails.recovery_code_used(to, "192.0.2.1", 9),
    "wrong_codes": lambda to: emails.wrong_codes(to, "192.0.2.1"),
    "passkey_added": lambda to: emails.passkey_added(to, "192.0.2.1"),
    "passkey_removed": lambda to: emails.passkey_removed(to, "192.0.2.1"),
    "passkey_copied": lambda to: emails.passkey_copied(to, "192.0.2.1"),
    "app_removed": lambda to: emails.app_removed(to, "192.0.2.1"),
    "recovery_codes_made": lambda to: emails.recovery_codes_made(to, "192.0.2.1"),
    "device_paired": lambda to: emails.device_paired(to, "192.0.2.1", "2026-02-03T04:05:06Z"),
    "factors_reset": emails.factors_reset,
    "badge_issued": emails.badge_issued,
    "pin_reset": emails.pin_reset,
    "pin_set": lambda to: emails.pin_set(to, "192.0.2.1"),
    "identity_linked": lambda to: emails.identity_linked(to, "192.0.2.1"),
    "changed_provider_used": lambda to: emails.changed_provider_used(to, "192.0.2.1"),
    "domain_failing": lambda to: emails.domain_failing(to, DOMAIN, NAME, VALUE, "2026-02-03"),
    "domain_lapsed": lambda to: emails.domain_lapsed(to, DOMAIN, NAME, VALUE, 14),
    "domain_held": lambda to: emails.domain_held(to, DOMAIN),
    "domain_contested": lambda to: emails.domain_contested(to, DOMAIN, 14),
    "domain_contested_between": lambda to: emails.domain_contested_between(to, DOMAIN, "acme", "engines"),
    "machine_secret_ends": lambda to: emails.machine_secret_ends(to, "nightly", "aB3x", "2026-02-03", 14),
}
WITH_LINK = {"invitation", "reset", "access_link", "email_confirm", "email_changed", "email_undone"}


def made(name: str, language: str) -> Email:
    return MADE[name](READER._replace(language=language))


def test_every_email_is_among_them() -> None:
    written = {
        name
        for module in (emails, emails)
        for name, found in inspect.getmembers(module, inspect.isfunction)
        if found.__module__ == module.__name__ and not name.startswith("_") and name != "inviter"
    }
    assert written == set(MADE)


@matrix("language", LANGUAGES)
@matrix("name", MADE)
def test_it_is_whole_in_the_language_of_its_reader(name: str, language: str) -> None:
    email = made(name, language)
    assert (email.to, email.language) == (READER.email, language)
    assert email.subject.isprintable()
    assert email.text.endswith("\n")
    assert not re.search(r"%\(|%s", (email.subject + email.text).replace(CLIENT, ""))
    assert READER.email not in email.subject + email.text
    paragraphs = email.text.rstrip("\n").split("\n\n")
    assert all(paragraph.isprintable() and paragraph for paragraph in paragraphs)
    english = made(name, "en")
    if language != "en":
        assert email.subject != english.subject
        same = set(paragraphs) & set(english.text.rstrip("\n").split("\n\n"))
        assert same <= {LINK.address, "abc-123", "manifest-auth domain release acme.example --client acme"}
    if name in WITH_LINK:
        assert paragraphs.count(LINK.address) == paragraphs.count("abc-123") == 1
        assert re.search(r"https://auth\.example/welcome\s", email.text)
        assert "72" in email.text
    else:
        assert "#" not in email.text


#: The lifetime in the text for a link that is valid for one minute, 30 minutes, an hour, 72 hours, or a week.
LIVES = (MINUTE, 30 * MINUTE, HOUR, 72 * HOUR, 7 * DAY)
SAID = {
    "en": ("1 minute.", "30 minutes.", "1 hour.", "72 hours.", "7 days."),
    "es": ("1 minuto.", "30 minutos.", "1 hora.", "72 horas.", "7 días."),
    "pt": ("1 minuto.", "30 minutos.", "1 hora.", "72 horas.", "7 dias."),
    "de": ("1 Minute.", "30 Minuten.", "1 Stunde.", "72 Stunden.", "7 Tagen."),
    "fr": ("1 minute.", "30 minutes.", "1 heure.", "72 heures.", "7 jours."),
    "ja": ("1分以内", "30分以内", "1時間以内", "72時間以内", "7日以内"),
}


@matrix("language", LANGUAGES)
def test_how_long_a_link_works_is_said_with_the_plural_of_the_language(language: str) -> None:
    to = READER._replace(language=language)
    for life_s, said in zip(LIVES, SAID[language], strict=True):
        assert said in emails.reset(to, Link(LINK.address, life_s)).text


@matrix("language", LANGUAGES)
def test_without_a_link_it_says_how_to_sign_in_and_what_was_removed(language: str) -> None:
    nothing = RemovedData(app=False, passkeys=0, recovery_codes=False, identities=0, badges=0, pin=False)
    to = READER._replace(language=language)
    short, long = (emails.email_undone(to, None, one, one.app) for one in (nothing, EVERYTHING))
    assert [len(email.text.split("\n\n")) for email in (short, long)] == [3, 12]
    english = emails.email_undone(READER, None, EVERYTHING, manages=True)
    assert language == "en" or not set(long.text.split("\n\n")) & set(english.text.split("\n\n"))
