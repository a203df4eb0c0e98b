"""Every sentence with which a sign-in through a provider is refused is one that pages translate."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from manifest_auth.errors import SsoFailed
from manifest_auth.pages.sign_in import provider_words
from manifest_auth.protocols.oidc import messages
from tests.support.rules import rule

SIGN_IN = Path("src/manifest_auth/sign_in")
#: Where a call has the sentence.
CALLS = {"SsoFailed": 0, "_refused": 1, "refuse": 3}
#: Sentences of JSON alone, and those of the proof of a directory, which stands in an English console.
NOT_ON_PAGES = {"exchange_codes.py", "directory_proof.py"}
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def _files() -> Iterator[ast.Module]:
    for path in SIGN_IN.rglob("*.py"):
        if path.name not in NOT_ON_PAGES:
            yield ast.parse(path.read_text("utf-8"))


def _texts(tree: ast.AST) -> dict[str, str]:
    """The texts that have a name."""
    return {
        ast.unparse(target): str(node.value.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
        for target in node.targets
    }


def _given() -> set[str]:
    named = {name: text for tree in _files() for name, text in _texts(tree).items() if name.isupper()}
    found = set[str]()
    for function in (node for tree in _files() for node in ast.walk(tree) if isinstance(node, _FUNCTIONS)):
        known = named | _texts(function)
        for node in ast.walk(function):
            if not isinstance(node, ast.Call):
                continue
            place = CALLS.get(ast.unparse(node.func).rpartition(".")[2], 99)
            if len(node.args) > place:
                given = node.args[place]
                if isinstance(given, ast.Constant):
                    found.add(str(given.value))
                elif text := known.get(ast.unparse(given)):
                    found.add(text)
    return found


@rule("PROVIDER-WORDS")
def test_every_sentence_is_translated_and_none_is_left_over() -> None:
    given = _given()
    assert len(given) > 8
    ours = {*messages.SENTENCES.values(), messages.sentence_for("unknown"), messages.SETUP_ERROR}
    in_dynamics = {"You are not a user of the organisation in Dynamics"}  # chosen from two by a condition
    assert given | ours | in_dynamics == provider_words.SENTENCES
    assert SsoFailed.sentence not in provider_words.SENTENCES
