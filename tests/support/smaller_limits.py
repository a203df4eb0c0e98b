"""Smaller limits and steps of the server, so that tests reach them, and measures of what they limit."""

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

#: The period of an audit event budget, in seconds.
EVENTS_S = limits.EVENTS_S


def few_events(patch: pytest.MonkeyPatch, from_address: int, in_client: int | None = None) -> None:
    """Limit the audit events of one class per address and period, and per client for all addresses together."""
    patch.setattr(limits, "EVENTS_FROM_ADDRESS", from_address)
    if in_client is not None:
        patch.setattr(limits, "EVENTS_IN_CLIENT", in_client)


def form_waits(patch: pytest.MonkeyPatch, tries: tuple[float, ...], wait: float = 10.0) -> None:
    """Set the waits before a form's response is stored again, and for a repeated form, in seconds."""
    patch.setattr(submissions, "_TRIES_S", tries)
    patch.setattr(submissions, "_WAIT_S", wait)


def no_docs_site(patch: pytest.MonkeyPatch, folder: Path) -> None:
    """Act as if the docs hadn't been built. ``folder`` is an empty one."""
    patch.setattr(docs_site, "FOLDER", folder)


def few_beginnings(patch: pytest.MonkeyPatch, free: int) -> None:
    """Allow this many unfinished sign-ins before the next one must wait."""
    patch.setattr(limits, "STARTED_FLOWS", limits.STARTED_FLOWS._replace(free=free))


def few_responses(patch: pytest.MonkeyPatch, free: int) -> None:
    """Allow this many invalid SAML responses before the next one must wait."""
    patch.setattr(saml_responses, "RESPONSES", saml_responses.RESPONSES._replace(free=free))


def audit_search(patch: pytest.MonkeyPatch, size: int, most: int | None = None) -> None:
    """Let a search in the audit trail read this many events per step, in this many steps at most."""
    patch.setattr(query, "STEP", size)
    if most is not None:
        patch.setattr(query, "STEPS", most)


def provider_deletion(patch: pytest.MonkeyPatch, size: int) -> None:
    """Delete a provider in steps of this many people."""
    patch.setattr(provider_delete, "STEP", size)


def provider_deletion_breaks(patch: pytest.MonkeyPatch, at: int) -> None:
    """End the process in the step with this number."""
    steps, step = 0, provider_delete._step

    def breaks(*given: object, **named: object) -> bool:
        nonlocal steps
        steps += 1
        if steps == at:
            raise RuntimeError("the process ends")
        return step(*given, **named)  # type: ignore[arg-type]

    patch.setattr(provider_delete, "_step", breaks)


def graphql_without_limits(patch: pytest.MonkeyPatch) -> None:
    """Let GraphQL documents have any cost and size."""
    patch.setattr(graphql_limits, "MAX_COST", 10**7)
    patch.setattr(execution, "DEADLINE_S", 60.0)


def _failures(app: App) -> entra_bearer.Failures:
    assert isinstance(app.services.entra, EntraTokens)
    return app.services.entra._failures


def addresses_remembered(app: App) -> int:
    """The number of addresses remembered for sending rejected tokens."""
    return len(_failures(app)._turns)


def refusals_remembered(app: App) -> int:
    """The number of tokens remembered as rejected."""
    return len(_failures(app)._refused)


def few_refusals_remembered(patch: pytest.MonkeyPatch, most: int) -> None:
    """Remember this many rejected tokens at most."""
    patch.setattr(entra_bearer, "MOST_REFUSED", most)


#: Accepted media types.
FILE_KINDS = KINDS


class Sum(NamedTuple):
    """The number of files, and their total bytes."""

    files: int
    size: int


async def stored_files(app: App) -> Sum:
    """Count the rows of all files."""
    sizes = [size for (size,) in await rows(app, "files", "size")]
    return Sum(len(sizes), sum(sizes))


def files_on_disk(app: App, folder: str = "files") -> list[Path]:
    """The files in the files folder, or in the folder for uploads in progress."""
    return [path for path in (data_folder(app) / folder).rglob("*") if path.is_file()]


def data_folder(app: App) -> Path:
    """The folder for application data outside the database."""
    return Path(app.services.settings.data_dir)


def narrow_quota(patch: pytest.MonkeyPatch, app: App, size: int) -> None:
    """Limit each client to this many bytes."""
    patch.setattr(app.services, "settings", msgspec.structs.replace(app.services.settings, upload_quota=size))


def narrow_files(patch: pytest.MonkeyPatch, app: App, size: int) -> None:
    """Limit each file to this many bytes."""
    patch.setattr(app.services, "settings", msgspec.structs.replace(app.services.settings, file_limit=size))


def narrow_arriving(patch: pytest.MonkeyPatch, size: int) -> None:
    """Limit all incomplete bodies together to this many bytes."""
    patch.setattr(request, "MOST_ARRIVING", size)
