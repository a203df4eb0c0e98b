"""Recorded requests of SCIM clients, sent again, with every response that differs from the recording.

Each file next to this one says where its requests are published, what was substituted, and where the expected response
differs from the one that the publisher expects (``vendor``, ``because``).
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import httpx2

FOLDER = Path(__file__).parent
#: The recordings, with the number of published requests in each.
RECORDINGS = {"okta_spec": 12, "okta_protocol": 25, "entra_collection": 79, "entra_dialects": 48}
_VARIABLE = re.compile(r"\{\{(\w+)\}\}")


def recording(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text())
    return found


def replay(name: str, base: str, token: str) -> list[str]:
    """Send the requests of a recording in their order; return what is wrong, one line for each response."""
    recorded = recording(name)
    known: dict[str, str] = dict(recorded["variables"])
    wrong: list[str] = []
    headers = {"Authorization": f"Bearer {token}", **recorded["headers"]}
    with httpx2.Client(headers=headers, timeout=60) as client:
        for number, step in enumerate([*recorded["before"], *recorded["steps"]], 1):
            method, path = _filled(step["send"], known).split(" ", 1)
            body = _filled(step.get("body"), known)
            content = None if body is None else body if isinstance(body, str) else json.dumps(body)
            answer = client.request(method, base + path, content=content, headers=step.get("headers"))
            found = list(_differences(answer, _filled(step, known)))
            shown = _json(answer)
            for variable, pointer in step.get("keeps", {}).items():
                kept = _at(shown, pointer)
                known[variable] = str(kept)
                found += [f"no {pointer} to keep"] if kept is None else []
            if found:
                told = f"{number} {step['name']}: {method} {path} {content or ''}"
                wrong.append(f"{told}\n    got {answer.status_code} {answer.text[:600]}\n    {'; '.join(found)}")
            if "None" in known.values():
                return [*wrong, "the rest needs what is missing"]
    return wrong


def _differences(answer: httpx2.Response, step: dict[str, Any]) -> list[str]:
    shown, found = _json(answer), []
    if answer.status_code != step["status"]:
        found.append(f"status {step['status']} expected")
    if answer.status_code == 204 and answer.content:
        found.append("204 with a body")
    if answer.content and not answer.headers.get("content-type", "").startswith("application/scim+json"):
        found.append(f"content type {answer.headers.get('content-type')}")
    for pointer, value in step.get("shows", {}).items():
        there = _at(shown, pointer)
        is_right = there not in (None, "", []) if value == "*" else _same(there, value)
        if not is_right:
            found.append(f"{pointer} is {there!r}, {value!r} expected")
    found += [f"{pointer} is there" for pointer in step.get("lacks", []) if _at(shown, pointer) is not None]
    if "members" in step:
        members = [member["value"] for member in _at(shown, "/members") or []]
        if sorted(members) != sorted(step["members"]):
            found.append(f"members are {members}, {step['members']} expected")
    if step.get("text", "") not in answer.text:
        found.append(f"{step['text']} is missing")
    return found


def _same(there: Any, value: Any) -> bool:
    """Lists of schemas need to have what is expected, since extensions may be named too."""
    return set(value) <= set(there or []) if isinstance(value, list) else bool(there == value)


def _filled(part: Any, known: dict[str, str]) -> Any:
    """Put in the values of variables; the expected members are named by variables, without braces."""
    if isinstance(part, str):
        return _VARIABLE.sub(lambda match: known.get(match[1], match[0]), part)
    if isinstance(part, list):
        return [_filled(each, known) for each in part]
    if isinstance(part, dict):
        return {key: _named(value, known) if key == "members" else _filled(value, known) for key, value in part.items()}
    return part


def _named(members: Any, known: dict[str, str]) -> Any:
    return [known.get(each, each) if isinstance(each, str) else _filled(each, known) for each in members]


def _json(answer: httpx2.Response) -> Any:
    try:
        return answer.json()
    except ValueError:
        return None


def _at(shown: Any, pointer: str) -> Any:
    """The value at a JSON pointer, or None."""
    for part in pointer.split("/")[1:]:
        try:
            shown = shown[int(part)] if isinstance(shown, list) else shown[part]
        except (KeyError, IndexError, TypeError, ValueError):
            return None
    return shown
