"""Random values that fit a schema of the API description, to compare it with the values that the server accepts."""

from __future__ import annotations

import re
from typing import Any

from hypothesis import strategies as st

Schema = dict[str, Any]
_MOST_ITEMS, _MOST_LETTERS = 3, 40
#: Any characters except lone surrogates, which JSON in UTF-8 can't contain.
_ANY = st.characters(codec="utf-8")
#: Patterns that only exclude some characters.
_EXCLUDING = re.compile(r"\^\[\^[^\]]*\]\*")


def fitting(schema: Schema, components: Schema) -> st.SearchStrategy[Any]:
    """Values that the schema allows. ``components`` are the schemas that it can refer to, by name."""
    if "$ref" in schema:
        return fitting(components[schema["$ref"].rpartition("/")[2]], components)
    if "enum" in schema or "const" in schema:
        return st.sampled_from(schema.get("enum", [schema.get("const")]))
    if "anyOf" in schema:
        return st.one_of([fitting(one, components) for one in schema["anyOf"]])
    kind = schema.get("type")
    if kind == "object":
        return _objects(schema, components)
    if kind == "array":
        least, most = schema.get("minItems", 0), min(schema.get("maxItems", _MOST_ITEMS), _MOST_ITEMS)
        return st.lists(fitting(schema.get("items", {}), components), min_size=least, max_size=max(least, most))
    if kind == "string":
        return _texts(schema)
    if kind == "integer":
        numbers = st.integers(schema.get("minimum", -(2**31)), schema.get("maximum", 2**31))
        return numbers.filter(lambda number: fits(schema, number))
    return st.booleans() if kind == "boolean" else st.none()


def _objects(schema: Schema, components: Schema) -> st.SearchStrategy[Any]:
    members = {name: fitting(one, components) for name, one in schema.get("properties", {}).items()}
    needed = set(schema.get("required", ()))
    readable = {name for name, one in schema.get("properties", {}).items() if one.get("readOnly")}
    return st.fixed_dictionaries(
        {name: one for name, one in members.items() if name in needed},
        optional={name: one for name, one in members.items() if name not in needed | readable},
    ).filter(lambda made: fits(schema, made))


def _texts(schema: Schema) -> st.SearchStrategy[str]:
    least, pattern = schema.get("minLength", 0), schema.get("pattern", "")
    most = max(least, min(schema.get("maxLength", _MOST_LETTERS), _MOST_LETTERS))
    whole = re.compile(pattern.removesuffix("$") + r"\Z" if pattern else "")  # `$` also matches before a final newline
    if not pattern or _EXCLUDING.match(pattern):
        return st.text(_ANY, min_size=least, max_size=most).filter(whole.search)
    longest = schema.get("maxLength", 1000)
    return st.from_regex(whole).filter(lambda text: least <= len(text) <= longest)


def fits(schema: Schema, value: Any) -> bool:
    """Whether a value satisfies the description's rules about objects and numbers, besides members and bounds."""
    if "not" in schema and _fits_all(schema["not"], value):
        return False
    dependent = schema.get("dependentRequired", {})
    return not isinstance(value, dict) or all({*dependent[name]} <= value.keys() for name in dependent if name in value)


def _fits_all(schema: Schema, value: Any) -> bool:
    """Whether the value satisfies everything below ``not``. There, ``properties`` only name members."""
    known = {"required", "properties", "anyOf", "not", "maxProperties", "exclusiveMinimum", "exclusiveMaximum"}
    assert schema.keys() <= known, schema
    assert not any(schema.get("properties", {}).values()), schema
    return (
        all(name in value for name in schema.get("required", ()))
        and ("anyOf" not in schema or any(_fits_all(one, value) for one in schema["anyOf"]))
        and ("not" not in schema or not _fits_all(schema["not"], value))
        and ("maxProperties" not in schema or len(value) <= schema["maxProperties"])
        and ("exclusiveMinimum" not in schema or value > schema["exclusiveMinimum"])
        and ("exclusiveMaximum" not in schema or value < schema["exclusiveMaximum"])
    )
