"""Checks words: banned phrases and long sentences in docs, descriptions, and pages, and in docstrings and comments.

``python -m tests.architecture.words`` prints each finding with its file and line. It ignores code, because names of
routes, members, and codes stay as they are on the wire.
"""

from __future__ import annotations

import ast
import io
import re
import subprocess
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path

from babel.messages import pofile

from tests.architecture import links
from tests.architecture.links import ROOT

#: Files with checked sentences: pages by folder or name, and descriptions that pages and ``/openapi.json`` show. Add a
#: file of pages, messages, or catalogs here once it's clean.
COVERED = (
    "README.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "bench/README.md",
    "docs/",
    "sdk/python/README.md",
    "sdk/javascript/README.md",
    "src/manifest_auth/api/graphql/schema.graphql",
    "src/manifest_auth/runtime/settings/values.py",
)
#: Pages with longer sentences.
LONG_PAGES = ("docs/decisions/",)
#: Folders with docstrings that start with a noun or a verb.
DOCSTRINGS = ("src", "sdk", "tests", "tools", "bench")
LONGEST = 25  # words of a sentence of docs
#: One of the catalogs, which list every message with the files that show it.
MESSAGES = "src/manifest_auth/text/catalogues/de.po"
LONGEST_OF_PAGES = 15
#: Messages with a longer sentence, by their beginning.
LONG_ON_PAGES = (
    "An administrator of directory",
    "Cookies are blocked for this site",
    "Creates a file with a consistent copy",
    "Enter an account and an IP address",
    "Everyone who signs in with it becomes an Admin",
    "If %(email)s has an account",
    "If systemd runs the server",
    "If you add a provider with the same issuer",
    "If you don't get it within a few minutes",
    "Sign-in methods are removed if they were added",
    "These sites can use the session of every user",
    "To prove that no event is missing or altered",
    "To sign in, use your organization's sign-in service",
    "Until the directory is verified",
    "Until you verify one",
    "Users set one in their account",
    "Users sign in on your shared devices",
)

#: A phrase, as a pattern, and its replacement.
PHRASES = {
    r"e-mails?": "email",
    r"licences?": "license",
    r"organisations?": "organization",
    r"colours?": "color",
    r"behaviours?": "behavior",
    r"authoris\w+": "authorize, authorization",
    r"at once": "immediately, at the same time",
    r"any more": "no longer",
    r"anew": "again",
    r"from (now|then) on": "after that",
    r"meanwhile": "in the meantime",
    r"may": "can, might",
    r"shall": "must",
    r"those who|one's own": "you, users, people",
    r"(come|comes|came|get|gets|let|lets) in": "sign in, can sign in",
    r"ways? in(?! which)": "sign-in method",
    r"switch(es|ed|ing)? (it |them )?(on|off)": "turn on, turn off",
    r"(take|takes|taken|took) (it |them )?(away|back)": "remove, revoke",
    r"good (until|for)": "valid until, expires",
    r"refus(e|es|ed|ing|al|als)": "reject, fail, block",
    r"throttles?|throttled": "rate limit",
    r"vouch(es|ed|ing)?": "approve, confirm",
    r"proved|recent proof|prove (again|anew)": "verified, re-authenticate",
    r"(is|are) answered": "returns, gets",
    r"letter by letter": "exactly",
    r"the people who run this server": "operator, system admin",
    r"return values?|our (values|application|certificate|clock)": "the server's",
}
#: Phrases of docstrings and comments, and their replacements. Names in code are ignored.
CODE_PHRASES = {
    r"e-mails?": "email",
    r"licences?": "license",
    r"organisations?": "organization",
    r"colou?red|colours?": "color",
    r"behaviours?": "behavior",
    r"enrols?|enrolments?": "enroll, enrollment",
    r"afterwards": "afterward",
    r"anew": "again",
    r"meanwhile": "in the meantime",
    r"may not": "must not, might not",
    r"switch(es|ed|ing)? (on|off)": "turn on, turn off",
    r"letter by letter": "exactly",
    r"prove again|proved? anew": "re-authenticate",
}
#: File: phrases that it uses with their ordinary English meaning, or quotes.
ALLOWED: dict[str, set[str]] = {}
_PHRASE = re.compile(rf"\b({'|'.join(f'(?:{pattern})' for pattern in PHRASES)})\b", re.IGNORECASE)
_CODE_PHRASE = re.compile(rf"\b({'|'.join(f'(?:{pattern})' for pattern in CODE_PHRASES)})\b", re.IGNORECASE)
_QUOTED = re.compile(r"``.*?``|`[^`\n]*`|\"[^\"\n]*\"|https?://\S+|[\w./-]*/[\w./-]*", re.DOTALL)
OPENING = re.compile(r'^\s*"""(What|Which|Who|Whose|Whom|How|Where)\b.*', re.MULTILINE)
_FENCE = re.compile(r"^( *)(```|~~~).*?^\1\2\s*$", re.MULTILINE | re.DOTALL)
_NOT_PROSE = re.compile(r"<!--.*?-->|`[^`]*`|(?<=\])\([^)]*\)|\*[^*\n]+\*|<https?:[^>]*>|\"[^\"\n]*\"", re.DOTALL)
_SENTENCE = re.compile(r"(?<=[.!?:;])[)*_]*\s+")


def covered() -> list[Path]:
    """The files under version control with checked sentences."""
    names = [path.relative_to(ROOT).as_posix() for path in links.pages()]
    names += [name for name in COVERED if not name.endswith((".md", "/"))]
    return [ROOT / name for name in names if name.startswith(COVERED)]


def prose(text: str) -> str:
    """The text of a page with the same lines, in which code, link targets, labels, and quotations become one letter."""
    for pattern in (_FENCE, _NOT_PROSE):
        text = pattern.sub(lambda found: "X" * (found[0][0] != "(") + "\n" * found[0].count("\n"), text)
    return text


def phrases(path: Path) -> Iterator[str]:
    """The banned phrases of a file, with their replacements."""
    allowed = ALLOWED.get(path.relative_to(ROOT).as_posix(), set())
    for number, line in _lines(path):
        for found in _PHRASE.findall(line):
            if found[0].lower() not in allowed and not found[0].isupper():  # names of rules
                yield f"{path.relative_to(ROOT)}:{number}: {found[0]!r}: write {_instead(found[0], PHRASES)}"


def _instead(found: str, phrases: dict[str, str]) -> str:
    return next(use for pattern, use in phrases.items() if re.fullmatch(pattern, found, re.IGNORECASE))


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    text = path.read_text("utf-8")
    if path.suffix == ".py":
        texts = (node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Constant))
        yield from (
            (node.lineno, re.sub(r"`[^`]*`", "X", node.value))
            for node in texts
            if isinstance(node.value, str) and " " in node.value
        )
    elif path.suffix == ".md":
        yield from enumerate(prose(text).splitlines(), 1)
    else:
        yield from enumerate(re.sub(r"`[^`\n]*`", "X", text).splitlines(), 1)


def long_sentences(path: Path) -> Iterator[str]:
    """The sentences of a page, outside tables and headings, with more than :data:`LONGEST` words. A colon or a
    semicolon ends a sentence."""
    paragraph: list[str] = []
    begins = 0
    for number, line in enumerate([*prose(path.read_text("utf-8")).splitlines(), ""], 1):
        text = line.strip()
        item = re.match(r"(?:[-*] |\d+\. )", text)
        if not text or item or text.startswith(("#", "|", ">")):
            for sentence in _SENTENCE.split(" ".join(paragraph)):
                if (words := len(sentence.split())) > LONGEST:
                    yield f"{path.relative_to(ROOT)}:{begins}: {words} words: {sentence[:60]}…"
            paragraph = []
        if text and not text.startswith(("#", "|", ">")):
            begins = begins if paragraph else number
            paragraph.append(text[item.end() :] if item else text)


def messages() -> Iterator[str]:
    """The banned phrases and long sentences in messages of pages. Messages that are only in emails are left out."""
    for message in pofile.read_po(io.BytesIO((ROOT / MESSAGES).read_bytes())):
        places = " ".join(place for place, _line in message.locations)
        for shown in (message.id,) if isinstance(message.id, str) else message.id:
            if all("mail" in place for place in places.split()):
                continue
            text = re.sub(r"<[^>]+>", "", shown)
            for found in _PHRASE.findall(text):
                if text != "May":  # the month
                    yield f"{places}: {found[0]!r}: {text[:60]}"
            for sentence in _SENTENCE.split(text):
                if (words := len(sentence.split())) > LONGEST_OF_PAGES and not sentence.startswith(LONG_ON_PAGES):
                    yield f"{places}: {words} words: {sentence[:60]}…"


def sources(folder: str) -> Iterator[str]:
    """The Python files of a folder under version control, by name."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--", f"{folder}/*.py"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    yield from (name for name in listed.stdout.split("\0") if name and (ROOT / name).exists())


def openings(folder: str) -> Iterator[str]:
    """The docstrings of a folder that start like a question."""
    for name in sources(folder):
        for found in OPENING.finditer(text := (ROOT / name).read_text("utf-8")):
            number = text.count("\n", 0, found.start(1)) + 1
            yield f"{name}:{number}: begin with a noun or a verb: {found[0].strip()}"


def code_phrases(folder: str) -> Iterator[str]:
    """The banned phrases in a folder's docstrings and comments."""
    for name in sources(folder):
        text = (ROOT / name).read_text("utf-8")
        for number, words in _descriptions(text):
            for found, *_rest in _CODE_PHRASE.findall(words):
                yield f"{name}:{number}: {found!r}: write {_instead(found, CODE_PHRASES)}"


def _descriptions(text: str) -> Iterator[tuple[int, str]]:
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield getattr(node, "lineno", 1), _QUOTED.sub("X", ast.get_docstring(node) or "")
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], _QUOTED.sub("X", token.string)


def findings() -> Iterator[str]:
    for path in covered():
        yield from phrases(path)
        if path.suffix == ".md" and not path.relative_to(ROOT).as_posix().startswith(LONG_PAGES):
            yield from long_sentences(path)
    yield from messages()
    for folder in DOCSTRINGS:
        yield from openings(folder)
        yield from code_phrases(folder)


def main() -> int:
    found = [*findings()]
    print("\n".join(found), end="\n" if found else "")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
