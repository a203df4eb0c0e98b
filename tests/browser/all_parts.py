"""All parts of the pages, each with its states."""

from __future__ import annotations

from tests.browser import (
    account_states,
    console_states,
    device_states,
    installation_states,
    pages,
    passkey_states,
    provider_states,
    step_states,
)
from tests.browser.parts import Part, of_setup, of_world
from tests.browser.passkeys import named

PARTS: dict[str, Part] = {
    "sign-in": of_setup(pages.STATES),
    "second factor": of_setup(step_states.STATES),
    "passkeys": of_setup(passkey_states.STATES, named),
    "account": of_setup(account_states.STATES, settings=account_states.WITH_MAIL),
    "devices": of_setup(device_states.STATES),
    "console": of_world(console_states.STATES, console_states.running),
    "providers": of_world(provider_states.STATES, provider_states.running),
    "first run": of_world(installation_states.FIRST, installation_states.first_run),
    "no licence": of_world(installation_states.UNLICENSED, installation_states.unlicensed),
    "installation": of_setup(installation_states.STATES),
}
