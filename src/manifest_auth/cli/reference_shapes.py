"""Formats JSON Schemas for ``docs/reference/http.md``, like ``{name: text 1..200, size?: number}``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

Schema = Mapping[str, Any]

_WIDTH = 110
_LONG = 300  # a longer shape that several answers have is shown once
_WORDS = {"string": "text", "integer": "number", "null": "null", "boolean": "boolean"}
_FORMATS = {"date-time": "time", "binary": "bytes"}


class Shapes:
    """Formats schemas; long schemas of ``components`` that are used more than once appear by name."""

    def __init__(self, components: Schema, used: Iterable[Schema]) -> None:
        self._components = components
        names = [name for schema in used for name in self._names(schema)]
        twice = sorted({name for name in names if names.count(name) > 1})
        self.named: list[str] = []
        self.named = [name for name in twice if len(self._flat(self._components[name])) > _LONG]

    def _names(self, schema: Schema) -> Iterator[str]:
        """The components that a schema refers to, at any depth."""
        if "$ref" in schema:
            name = _name(schema)
            yield name
            schema = self._components[name]
        items = [schema["items"]] if "items" in schema else []
        for inner in (*schema.get("properties", {}).values(), *schema.get("anyOf", ()), *items):
            yield from self._names(inner)

    def resolved(self, schema: Schema) -> Schema:
        """The schema that a reference names."""
        if "$ref" in schema:
            found: Schema = self._components[_name(schema)]
            return found
        return schema

    def show(self, schema: Schema, indent: int) -> str:
        """The schema in one line if it fits, else one member per line. ``indent``: the column of the start."""
        return self._broken(schema, indent)

    def definition(self, name: str) -> str:
        """A named shape: ``Name {…}``."""
        return f"{name} {self._broken(self._components[name], 0)}"

    def _broken(self, schema: Schema, indent: int) -> str:
        flat = self._flat(schema)
        if flat in self.named:
            return flat
        schema = self.resolved(schema)
        if indent + len(flat) <= _WIDTH:
            return flat
        inner = " " * (indent + 2)
        if schema.get("type") == "object" and "properties" in schema:
            lines = [
                f"{inner}{_named(name, schema)}: {self._broken(one, indent + 2)}"
                for name, one in schema["properties"].items()
            ]
            return "{\n" + ",\n".join(lines) + "\n" + " " * indent + "}"
        if schema.get("type") == "array":
            return f"[{self._broken(schema['items'], indent)}]"
        if "anyOf" in schema:
            return " or ".join(self._broken(each, indent) for each in schema["anyOf"])
        return flat

    def _flat(self, schema: Schema) -> str:
        if "$ref" in schema and _name(schema) in self.named:
            return _name(schema)
        schema = self.resolved(schema)
        if "anyOf" in schema:
            return " or ".join(self._flat(each) for each in schema["anyOf"])
        if "enum" in schema:
            return " or ".join(map(_literal, schema["enum"]))
        if "const" in schema:
            return _literal(schema["const"])
        kind = schema.get("type")
        if kind == "object" and "properties" in schema:
            return (
                "{" + ", ".join(f"{_named(n, schema)}: {self._flat(s)}" for n, s in schema["properties"].items()) + "}"
            )
        if kind == "object":
            return "{…}"
        if kind == "array":
            return f"[{self._flat(schema['items'])}]" if schema.get("items") else "[…]"
        return _scalar(schema, str(kind))


def _name(reference: Schema) -> str:
    return str(reference["$ref"]).rsplit("/", 1)[1]


def _named(name: str, schema: Schema) -> str:
    return name if name in schema.get("required", ()) else f"{name}?"


def _literal(value: Any) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value).lower()


def _scalar(schema: Schema, kind: str) -> str:
    word = _FORMATS.get(schema.get("format", ""), _WORDS.get(kind, "any"))
    least = schema.get("minLength", schema.get("minimum", 0))
    most = schema.get("maxLength", schema.get("maximum"))
    if most is None:
        return word
    return f"{word} {most}" if least == most else f"{word} {least}..{most}"
