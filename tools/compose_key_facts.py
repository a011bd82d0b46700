"""Write tests/data/compose_keys.json: the keys of a compose file, and the kinds of their values; facts only.

    python -m tools.compose_key_facts compose-spec.json SOURCE > tests/data/compose_keys.json

compose-spec.json is the schema of the compose specification (github.com/compose-spec/compose-spec, schema/), and SOURCE
its version. Names that users choose (of services, networks and so on), and places in a list, are left out of a
key's name: ``services.build.args`` is the key ``args`` below ``build`` of any service.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator


def keys(schema: dict[str, Any], node: dict[str, Any], name: str = "") -> Iterator[tuple[str, set[str]]]:
    """Yield each key below *node* with the kinds of its value; a key may come several times, with several kinds."""
    node = _resolved(schema, node)
    for choice in [node, *node.get("oneOf", ()), *node.get("anyOf", ())]:
        known = _resolved(schema, choice)
        for key, below in known.get("properties", {}).items():
            full = f"{name}.{key}".lstrip(".")
            yield full, _kinds(schema, below)
            yield from keys(schema, below, full)
        items = known.get("items")
        if isinstance(items, dict):
            yield from keys(schema, items, name)
        for pattern, below in known.get("patternProperties", {}).items():
            if not pattern.startswith("^x-"):
                yield from keys(schema, below, name)


def _resolved(schema: dict[str, Any], node: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in node:
        node = schema["definitions"][node["$ref"].rpartition("/")[2]]
    return node


def _kinds(schema: dict[str, Any], node: dict[str, Any]) -> set[str]:
    known = _resolved(schema, node)
    kinds = known.get("type", [])
    found = {kinds} if isinstance(kinds, str) else set(kinds)
    for choice in [*known.get("oneOf", ()), *known.get("anyOf", ())]:
        found |= _kinds(schema, choice)
    return found


def facts(schema: dict[str, Any], source: str) -> dict[str, Any]:
    """Return the whole table."""
    found: dict[str, set[str]] = {}
    for name, kinds in keys(schema, schema):
        found.setdefault(name, set()).update(kinds)
    return {"source": source, "keys": {name: sorted(kinds) for name, kinds in sorted(found.items())}}


if __name__ == "__main__":
    table = facts(json.loads(Path(sys.argv[1]).read_text()), sys.argv[2])
    lines = ",\n".join(f"  {json.dumps(name)}: {json.dumps(kinds)}" for name, kinds in table["keys"].items())
    sys.stdout.write(f'{{"source": {json.dumps(table["source"])}, "keys": {{\n{lines}\n}}}}\n')
