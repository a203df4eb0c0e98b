"""``python tools/docs/picture.py [--check]``: draws ``docs/architecture.svg`` from the code.

Packages and their order come from the import-linter contract in ``pyproject.toml``. Each package's description is the
first sentence of its docstring, and the arrows count the imports between layers. ``--check`` writes nothing.
"""

from __future__ import annotations

import ast
import sys
import tomllib
from collections import Counter
from html import escape
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "manifest_auth"
PICTURE = ROOT / "docs" / "architecture.svg"
#: The first package of each layer, with the layer's title, description, and color.
LAYERS = {
    "cli": ("Interfaces", "what people and programs talk to", "#e8eefc"),
    "maintenance": ("Domain", "the product and its rules", "#e9f6ec"),
    "protocols": ("Foundation", "knows nothing of the product", "#fdf3e3"),
}
_WIDTH, _ROW, _HEAD, _GAP = 1180, 24, 40, 46
_NAME, _LINE, _USES = 40, 170, 800


def packages() -> list[str]:
    """All top-level packages and modules, in the order of the layers."""
    found = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]["contracts"]
    [layers] = [one["layers"] for one in found if one["name"] == "Layers"]
    names = [name.strip(" ()") for line in layers for name in line.split("|")]
    return [name for name in names if name != "__main__"]


def layer_of() -> dict[str, str]:
    """The layer of each package, named by the layer's first package."""
    found, current = {}, ""
    for name in packages():
        current = name if name in LAYERS else current
        found[name] = current
    return found


def imports() -> Counter[tuple[str, str]]:
    """The number of modules in one package that import another, for each pair of packages."""
    found: Counter[tuple[str, str]] = Counter()
    for path in SOURCE.rglob("*.py"):
        own = path.relative_to(SOURCE).parts[0].removesuffix(".py")
        used = set()
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "manifest_auth":
                parts = (node.module or "").split(".")[1:]
                used |= {parts[0]} if parts else {alias.name for alias in node.names}
        if own in packages():
            found.update((own, name) for name in used & set(packages()) - {own})
    return found


def line_of(name: str) -> str:
    """The first sentence of a package's docstring."""
    path = SOURCE / name / "__init__.py"
    text = ast.get_docstring(ast.parse((path if path.exists() else SOURCE / f"{name}.py").read_text("utf-8"))) or ""
    sentence = " ".join(text.split()).replace("``", "").partition(". ")[0].rstrip(".")
    return sentence if len(sentence) <= 96 else sentence[:95].rsplit(" ", 1)[0] + " …"


def draw() -> str:
    """The SVG of the picture."""
    layers, found = layer_of(), imports()
    parts: list[str] = []
    y, bottoms = 16, {}
    for first, (title, about, colour) in LAYERS.items():
        names = [name for name in packages() if layers[name] == first]
        height = _HEAD + _ROW * len(names) + 12
        parts.append(f'<rect x="16" y="{y}" width="{_WIDTH - 32}" height="{height}" rx="8" fill="{colour}"/>')
        parts.append(_text(28, y + 26, title, 17, bold=True) + _text(150, y + 26, about, 13, "#555"))
        parts.append(_text(_USES, y + 26, "imports", 12, "#555"))
        for row, name in enumerate(names):
            at = y + _HEAD + _ROW * row + 16
            uses = ", ".join(other for other in packages() if found[name, other])
            whole = f"{name}/" if (SOURCE / name).is_dir() else f"{name}.py"
            parts.append(_text(_NAME, at, whole, 13, bold=True) + _text(_LINE, at, line_of(name), 12))
            parts.append(_text(_USES, at, uses if len(uses) < 62 else uses[:60].rsplit(",", 1)[0] + ", …", 11, "#555"))
        bottoms[first] = y + height
        y += height + _GAP
    between: Counter[tuple[str, str]] = Counter()
    for (one, other), count in found.items():
        between[layers[one], layers[other]] += count
    top, middle, low = LAYERS
    parts.append(_arrow(300, bottoms[top], bottoms[top] + _GAP, f"{between[top, middle]} imports"))
    parts.append(_arrow(300, bottoms[middle], bottoms[middle] + _GAP, f"{between[middle, low]} imports"))
    parts.append(_arrow(700, bottoms[middle], bottoms[middle] + _GAP, f"{between[top, low]} imports from interfaces"))
    up = between[middle, top] + between[low, top] + between[low, middle]
    parts.append(_text(700, bottoms[top] + 28, f"imports that go up: {up}", 13, bold=True))
    height = y - _GAP + 16
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" role="img" '
        'font-family="system-ui, sans-serif">\n<title>Packages of Manifest Auth in three layers</title>\n'
        f'<rect width="{_WIDTH}" height="{height}" fill="#fff"/>\n' + "\n".join(parts) + "\n</svg>\n"
    )


def _text(x: int, y: int, text: str, size: int, colour: str = "#111", *, bold: bool = False) -> str:
    weight = ' font-weight="600"' if bold else ""
    return f'<text x="{x}" y="{y}" font-size="{size}" fill="{colour}"{weight}>{escape(text)}</text>'


def _arrow(x: int, top: int, bottom: int, text: str) -> str:
    tip = bottom - 4
    return (
        f'<path d="M{x} {top + 4}V{tip}M{x - 6} {tip - 8}L{x} {tip}L{x + 6} {tip - 8}" '
        f'stroke="#333" stroke-width="2" fill="none"/>{_text(x + 14, top + 28, text, 13)}'
    )


def main() -> int:
    text = draw()
    if PICTURE.exists() and PICTURE.read_text("utf-8") == text:
        return 0
    if "--check" in sys.argv:
        sys.stderr.write("docs/architecture.svg is out of date; run ./dev docs\n")
        return 1
    PICTURE.write_text(text, "utf-8")
    sys.stdout.write("wrote docs/architecture.svg\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
