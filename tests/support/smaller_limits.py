"""Smaller limits and steps of the server, so that a test reaches them, and how much there is of what they bound."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest

from manifest_auth.api.graphql import execution
from manifest_auth.api.graphql import limits as graphql_limits
from manifest_auth.audit import query
from manifest_auth.clients.providers import changes as provider_delete
from manifest_auth.http import docs_site, request
from manifest_auth.pages import submissions
from manifest_auth.runtime.files import KINDS
from manifest_auth.sign_in.providers import entra_bearer, saml_responses
from manifest_auth.sign_in.providers.entra_bearer import EntraTokens
from manifest_auth.throttle import limits
from tests.support.application import App
from tests.support.rows import rows

#: How long a budget of audit events lasts, in seconds.
EVENTS_S = limits.EVENTS_S


def few_events(patch: pytest.MonkeyPatch, from_address: int, in_client: int | None = None) -> None:
    """This many audit events of one class from an address in a span of time, and of all addresses in a client."""
    patch.setattr(limits, "EVENTS_FROM_ADDRESS", from_address)
    if in_client is not None:
        patch.setattr(limits, "EVENTS_IN_CLIENT", in_client)


def form_waits(patch: pytest.MonkeyPatch, tries: tuple[float, ...], wait: float = 10.0) -> None:
    """Pauses before the answer of a form is stored once more, and how long its repeat waits for it, in seconds."""
    patch.setattr(submissions, "_TRIES_S", tries)
    patch.setattr(submissions, "_WAIT_S", wait)


def no_docs_site(patch: pytest.MonkeyPatch, folder: Path) -> None:
    """The docs were not built. ``folder``: an empty one."""
    patch.setattr(docs_site, "FOLDER", folder)


def few_beginnings(patch: pytest.MonkeyPatch, free: int) -> None:
    """This many sign-ins can be begun and not finished before the next one waits."""
    patch.setattr(limits, "STARTED_FLOWS", limits.STARTED_FLOWS._replace(free=free))


def few_responses(patch: pytest.MonkeyPatch, free: int) -> None:
    """This many SAML responses can be wrong before the next one waits."""
    patch.setattr(saml_responses, "RESPONSES", saml_responses.RESPONSES._replace(free=free))


def audit_search(patch: pytest.MonkeyPatch, size: int, most: int | None = None) -> None:
    """A search in the audit trail looks at this many events in a step, and takes this many steps at most."""
    patch.setattr(query, "STEP", size)
    if most is not None:
        patch.setattr(query, "STEPS", most)


def provider_deletion(patch: pytest.MonkeyPatch, size: int) -> None:
    """A provider is deleted with this many people in a step."""
    patch.setattr(provider_delete, "STEP", size)


def provider_deletion_breaks(patch: pytest.MonkeyPatch, at: int) -> None:
    """The process ends in the step of this number."""
    steps, step = 0, provider_delete._step

    def breaks(*given: object, **named: object) -> bool:
        nonlocal steps
        steps += 1
        if steps == at:
            raise RuntimeError("the process ends")
        return step(*given, **named)  # type: ignore[arg-type]

    patch.setattr(provider_delete, "_step", breaks)


def graphql_without_limits(patch: pytest.MonkeyPatch) -> None:
    """A document can cost and take as much as it likes."""
    patch.setattr(graphql_limits, "MAX_COST", 10**7)
    patch.setattr(execution, "DEADLINE_S", 60.0)


def _failures(app: App) -> entra_bearer.Failures:
    assert isinstance(app.services.entra, EntraTokens)
    return app.services.entra._failures


def addresses_remembered(app: App) -> int:
    """From how many addresses rejected tokens came, as far as memory goes."""
    return len(_failures(app)._turns)


def refusals_remembered(app: App) -> int:
    """Of how many tokens it is known that they are rejected."""
    return len(_failures(app)._refused)


def few_refusals_remembered(patch: pytest.MonkeyPatch, most: int) -> None:
    """This many, and no more."""
    patch.setattr(entra_bearer, "MOST_REFUSED", most)


#: Media types that are taken.
FILE_KINDS = KINDS


class Sum(NamedTuple):
    """The number of files, and their bytes."""

    files: int
    size: int


async def stored_files(app: App) -> Sum:
    """The rows of all files."""
    sizes = [size for (size,) in await rows(app, "files", "size")]
    return Sum(len(sizes), sum(sizes))


def files_on_disk(app: App, folder: str = "files") -> list[Path]:
    """The content of the place for files, or of the one for uploads in progress."""
    return [path for path in (data_folder(app) / folder).rglob("*") if path.is_file()]


def data_folder(app: App) -> Path:
    """The folder in which the application keeps what isn't in the database."""
    return Path(app.services.settings.data_dir)


def narrow_quota(patch: pytest.MonkeyPatch, app: App, size: int) -> None:
    """This many bytes a client."""
    patch.setattr(app.services, "settings", msgspec.structs.replace(app.services.settings, upload_quota=size))


def narrow_files(patch: pytest.MonkeyPatch, app: App, size: int) -> None:
    """This many bytes a file."""
    patch.setattr(app.services, "settings", msgspec.structs.replace(app.services.settings, file_limit=size))


def narrow_arriving(patch: pytest.MonkeyPatch, size: int) -> None:
    """This many bytes of all bodies that are not complete."""
    patch.setattr(request, "MOST_ARRIVING", size)
