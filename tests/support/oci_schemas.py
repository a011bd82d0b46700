"""The specification's own JSON schemas, if Debian's package with them is installed; they may not be copied here."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path("/usr/share/gocode/src/github.com/opencontainers/runtime-spec/schema")
PACKAGE = "golang-github-opencontainers-specs-dev"


def schema(name: str) -> dict[str, Any]:
    """Return one of the schemas, or skip the test."""
    if not FOLDER.is_dir():
        pytest.skip(f"the schemas are not installed: apt-get install {PACKAGE}")
    found: dict[str, Any] = json.loads((FOLDER / name).read_text())
    return found


def faults(name: str, value: object) -> list[str]:
    """Return the errors of *value* by the schema of this *name*: where, and why."""
    schema(name)
    jsonschema, referencing = pytest.importorskip("jsonschema"), pytest.importorskip("referencing")
    draft = pytest.importorskip("referencing.jsonschema").DRAFT4
    registry = referencing.Registry().with_resources(
        (f"file:///{path.name}", referencing.Resource(json.loads(path.read_text()), draft))
        for path in FOLDER.glob("*.json")
    )
    validator = jsonschema.Draft4Validator({"$ref": f"file:///{name}"}, registry=registry)
    return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(value)]


def properties(name: str) -> set[str]:
    """Return the path of every property in a schema, written as container/config/fields.py writes paths."""
    return set(_walk(schema(name), name, ""))


def _walk(part: dict[str, Any], name: str, path: str) -> list[str]:
    if "$ref" in part:
        file, _, pointer = part["$ref"].partition("#")
        part, name = schema(file or name), file or name
        for key in pointer.strip("/").split("/"):
            part = part[key] if key else part
        return _walk(part, name, path)
    found = []
    for group in ("allOf", "anyOf", "oneOf"):
        for choice in part.get(group, []):
            found += _walk(choice, name, path)
    for key, below in part.get("properties", {}).items():
        here = f"{path}.{key}" if path else key
        found += [here, *_walk(below, name, here)]
    if isinstance(part.get("items"), dict):
        found += _walk(part["items"], name, f"{path}[]")
    for below in [*part.get("patternProperties", {}).values(), part.get("additionalProperties")]:
        if isinstance(below, dict):
            found += [f"{path}.*", *_walk(below, name, f"{path}.*")]
    return found
