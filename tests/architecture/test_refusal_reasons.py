"""The docs' list of reasons for a refused sign-in is complete: the code gives these and no others."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from manifest_auth.sign_in.refusal_reasons import REASONS

SRC = Path("src/manifest_auth")
#: Where a call has the reason: by keyword, or as which argument.
CALLS: dict[str, int | str] = {
    "SsoFailed": "reason", "AccountDisabled": "reason", "NotFound": "reason",
    "refuse": 2, "_refused": 0,
    "OidcRefused": 0, "SamlRefused": 0, "MicrosoftRefused": 0, "NoMember": 0, "refused_by_provider": 0,
}  # fmt: skip
#: Where a sign-in is refused, and what its reason is told after there.
PLACES = {
    "sign_in/**/*.py": "",
    "api/client/*.py": "",
    "providers/settings.py": "",
    "providers/sign_in_flows.py": "",
    "protocols/oidc/*.py": "",
    "protocols/saml/*.py": "response: ",
    "protocols/microsoft/*.py": "",
}
#: Sets certificates and metadata up, judges a bearer or a passkey, or answers 404 for what is not there: none of these
#: is a sign-in that is refused with a reason for a provider's administrator.
NO_SIGN_IN = {
    "protocols/saml/metadata.py",
    "protocols/microsoft/tokens.py",
    "sign_in/providers/kinds.py",
    "sign_in/providers/entra_bearer.py",
    "sign_in/passkeys/ceremonies.py",
    "api/client/one_time_links.py",
    "api/client/identities.py",
}


def _files() -> Iterator[tuple[str, Path]]:
    """Each file, with what the reasons that it gives are told after."""
    unmet = set(NO_SIGN_IN)
    for pattern, prefix in PLACES.items():
        for path in sorted(SRC.glob(pattern)):
            name = path.relative_to(SRC).as_posix()
            if name not in NO_SIGN_IN:
                yield prefix, path
            unmet.discard(name)
    assert not unmet


def _text(node: ast.expr | None, names: dict[str, str]) -> str:
    """The text of an expression, with … for what is not written there; empty: handed on from elsewhere."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values)
    if isinstance(node, ast.Name):
        return names.get(node.id, "")
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        return names.get(node.func.id, "")
    if isinstance(node, ast.BinOp):
        return _text(node.left, names) + "…"
    return ""


def _reason_of(call: ast.Call) -> ast.expr | None:
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    place = CALLS.get(name)
    if isinstance(place, str):
        return next((given.value for given in call.keywords if given.arg == place), None)
    return call.args[place] if place is not None and len(call.args) > place else None


def _names(tree: ast.Module) -> dict[str, str]:
    """The texts that a file gives a name, and those that its functions put together."""
    found: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant):
            targets = [target.id for target in node.targets if isinstance(target, ast.Name)]
            found |= dict.fromkeys(targets, str(node.value.value))
        if isinstance(node, ast.FunctionDef):
            for inner in node.body:
                if isinstance(inner, ast.Return) and isinstance(inner.value, ast.JoinedStr):
                    found[node.name] = _text(inner.value, {})
    return found


def _given() -> dict[str, str]:
    """The reasons that the code gives, and where."""
    found = {}
    for prefix, path in _files():
        tree = ast.parse(path.read_text("utf-8"))
        names = _names(tree)
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and (text := _text(_reason_of(node), names)):
                found[text if text.startswith(prefix) else prefix + text] = f"{path}:{node.lineno}"
    return found


def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(".*".join(re.escape(part) for part in text.split("…")), re.DOTALL)


LISTED = [why for reason in REASONS for why in reason.why]


def test_every_reason_that_the_code_gives_is_listed() -> None:
    given = {text: where for text, where in _given().items() if not text.startswith("…")}
    assert len(given) > 100
    assert {text: where for text, where in given.items() if not any(_pattern(why).match(text) for why in LISTED)} == {}


def test_every_reason_that_is_listed_is_given() -> None:
    given = _given()
    unknown = [
        why for why in LISTED if not any(_pattern(why).match(text) or _pattern(text).match(why) for text in given)
    ]
    assert unknown == []


def test_no_reason_is_listed_twice() -> None:
    assert len(LISTED) == len(set(LISTED))
