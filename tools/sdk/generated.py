"""Writes the modules of the Python library that mirror the server's lists of errors and of role permissions.

``--check`` writes nothing, and fails if a module is out of date.
"""

from __future__ import annotations

import sys
import textwrap
from pathlib import Path

from manifest_auth.errors import REFUSALS, MfaRequired, Refusal
from manifest_auth.permissions import Role, permission_names

PACKAGE = Path(__file__).parents[2] / "sdk/python/src/manifest_auth_client"
_ERRORS = '''\
"""The refusals of the server, a class for each code of its closed list.

Generated from the server's list by ``./dev docs``; a test compares the two.
"""

from __future__ import annotations

from manifest_auth_client._failure import Continues, ManifestAuthError
'''
_ROLES = '''\
"""The permissions of roles.

Generated from the server's table by ``./dev docs``; a test compares the two.
"""

from __future__ import annotations

PERMISSIONS: dict[str, tuple[str, ...]] = {
'''


def modules() -> dict[Path, str]:
    """The text of each module, by its path."""
    return {PACKAGE / "errors.py": _errors(), PACKAGE / "testing" / "_roles.py": _roles()}


def _errors() -> str:
    names = "".join(f'    "{kind.code}": {kind.__name__},\n' for kind in REFUSALS)
    table = f"#: The class of each code.\nBY_CODE: dict[str, type[ManifestAuthError]] = {{\n{names}}}\n"
    return "\n\n".join([_ERRORS, *map(_class, REFUSALS), table])


def _class(kind: type[Refusal]) -> str:
    base = "Continues" if kind is MfaRequired else "ManifestAuthError"
    doc = textwrap.wrap(f'"""{kind.when.replace("`", "``")}"""', 116, break_on_hyphens=False)
    values = f'    code, status, message = "{kind.code}", {kind.status}, "{kind.sentence}"\n'
    return "\n".join([f"class {kind.__name__}({base}):", *(f"    {line}" for line in doc), "", values])


def _roles() -> str:
    lines = []
    for role in Role:
        names = "".join(f'        "{name}",\n' for name in permission_names(role.bit))
        lines.append(f'    "{role.value}": (\n{names}    ),\n')
    return f"{_ROLES}{''.join(lines)}}}\n"


def main() -> int:
    stale = [path for path, text in modules().items() if not path.exists() or path.read_text("utf-8") != text]
    if "--check" not in sys.argv:
        for path in stale:
            path.write_text(modules()[path], "utf-8")
            print(path.relative_to(Path.cwd()))
        return 0
    for path in stale:
        print(f"{path.name} is not as the server's lists are: ./dev docs writes it")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
