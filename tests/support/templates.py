"""Templates over HTTP: the GraphQL documents of each operation, and ways to bring a version into a state."""

from __future__ import annotations

from typing import Any

from tests.support.team import Team

VERSION = """id number status revision createdAt publishedAt createdBy { id } template { id }
    steps { number title instructions requiresEvidence }"""
TEMPLATE = f"""id name description isArchived createdAt changedAt createdBy {{ id }}
    latestVersion {{ {VERSION} }} publishedVersion {{ id number status }}
    versions(first: 100) {{ id number status }}"""
ADD = f"mutation($input: AddTemplateInput!) {{ addTemplate(input: $input) {{ {TEMPLATE} }} }}"
UPDATE = (
    f"mutation($id: Int!, $input: UpdateTemplateInput!) {{ updateTemplate(id: $id, input: $input) {{ {TEMPLATE} }} }}"
)
NEXT = f"mutation($id: Int!) {{ addTemplateVersion(templateId: $id) {{ {VERSION} }} }}"
EDIT = f"""mutation($id: Int!, $input: UpdateTemplateVersionInput!)
    {{ updateTemplateVersion(id: $id, input: $input) {{ {VERSION} }} }}"""
READ = f"query($id: Int!) {{ template(id: $id) {{ {TEMPLATE} }} }}"
READ_VERSION = f"query($id: Int!) {{ templateVersion(id: $id) {{ {VERSION} }} }}"
HISTORY = """query($id: Int!) { template(id: $id) {
    history(first: 100) { number move version comment at by { id } } } }"""


def _move(name: str, kind: str = "String") -> str:
    return f"""mutation($id: Int!, $comment: {kind}, $revision: Int)
        {{ {name}(id: $id, comment: $comment, revision: $revision) {{ {VERSION} }} }}"""


def _shelve(name: str) -> str:
    return f"mutation($id: Int!, $comment: String) {{ {name}(id: $id, comment: $comment) {{ {TEMPLATE} }} }}"


SUBMIT, APPROVE = _move("submitTemplateVersion"), _move("approveTemplateVersion")
REJECT, PUBLISH = _move("rejectTemplateVersion", "String!"), _move("publishTemplateVersion")
ARCHIVE, RESTORE = _shelve("archiveTemplate"), _shelve("restoreTemplate")

STEPS: list[dict[str, Any]] = [
    {"title": "Close the valve", "instructions": "Turn it to the right.\nCheck.", "requiresEvidence": True},
    {"title": "Read the gauge"},
]
#: The role that moves a version to the next state, and the document that it uses.
WAY = {
    "SUBMITTED": ("Author", SUBMIT),
    "APPROVED": ("Approver", APPROVE),
    "PUBLISHED": ("Publisher", PUBLISH),
}


async def add_template(team: Team, name: str = "Pump check", steps: Any = STEPS, **members: Any) -> dict[str, Any]:
    """A new template with a draft."""
    made: dict[str, Any] = await team.ask("Author", ADD, input={"name": name, "steps": steps, **members})
    return made


async def template_at(team: Team, status: str, **members: Any) -> dict[str, Any]:
    """A new template with its only version in this state, as last read."""
    template = await add_template(team, **members)
    await bring(team, template["latestVersion"]["id"], status)
    return await read(team, template["id"])


async def bring(team: Team, version_id: int, status: str) -> None:
    """Move a draft to a state."""
    for reached, (role, document) in WAY.items():
        if status == "DRAFT":
            return
        await team.ask(role, document, id=version_id)
        if reached == status:
            return


async def read(team: Team, template_id: int) -> dict[str, Any]:
    """A template as a Viewer sees it."""
    found: dict[str, Any] = await team.ask("Viewer", READ, id=template_id)
    return found


async def moves(team: Team, template_id: int) -> list[tuple[str, int | None]]:
    """The log, as moves with their versions, in order."""
    found = (await team.ask("Viewer", HISTORY, id=template_id))["history"]
    assert [event["number"] for event in found] == list(range(1, len(found) + 1))
    return [(event["move"], event["version"]) for event in found]
