"""Merge several compose files (-f, override files): a later file adds to the values of an earlier one or replaces them.

The values of a few keys are first converted to one form, such as a list of ``A=1`` to a mapping, so that a short form
and a long form can be merged; see "Merge" in the compose specification.
"""

from __future__ import annotations

from tinybox.compose.reading.document import OVERRIDE, RESET, Field

REPLACED = ("command", "entrypoint", "test")  # lists that a second file replaces; to all others it adds
KEYED = (  # a list or a mapping
    "additional_contexts", "annotations", "args", "depends_on", "environment", "extra_hosts", "labels", "networks",
    "sysctls",
)  # fmt: skip
REPEATED = ("dns", "dns_opt", "dns_search", "env_file", "label_file", "tmpfs")  # a text or a list of texts
PLACES = {"volumes": "target", "secrets": "source", "configs": "source", "devices": "target"}  # one item for each


def merged(base: Field, over: Field, key: str = "") -> Field:
    """Return *base* merged with *over* of a later file: mappings are joined, lists grow, all else is replaced.

    A field tagged ``!override`` always replaces; a field tagged ``!reset`` is kept here, and `settled` removes it.
    """
    if over.tag in (RESET, OVERRIDE):
        return over
    if key in KEYED and isinstance(base.content, list) != isinstance(over.content, list):
        base, over = _keyed(base), _keyed(over)
    if key in REPEATED:
        base, over = _repeated(base), _repeated(over)
    if key == "build":
        base, over = _build(base), _build(over)
    if key == "logging" and _driver(base) and _driver(over) and _driver(base) != _driver(over):
        return over  # the options of one driver mean nothing for another
    if isinstance(base.content, dict) and isinstance(over.content, dict):
        both = {name: merged(base.content[name], field, name) if name in base.content else field
                for name, field in over.content.items()}  # fmt: skip
        return Field(base.content | both, over.name, over.place, over.tag)
    if isinstance(base.content, list) and isinstance(over.content, list) and key not in REPLACED:
        return Field([*_rest(base.content, over.content, key), *over.content], over.name, over.place, over.tag)
    return over


def settled(field: Field) -> Field:
    """Return *field* without the fields that are tagged ``!reset``."""
    content = field.content
    if isinstance(content, dict):
        content = {key: settled(value) for key, value in content.items() if value.tag != RESET}
    return Field(content, field.name, field.place, field.tag)


def _keyed(field: Field) -> Field:
    """Return a list of ``KEY=VALUE`` or of names as the mapping of which it is the short form."""
    if not isinstance(field.content, list):
        return field
    made = {}
    for entry in field.content:
        text = entry.text()
        name, found, value = text.partition("=" if "=" in text else ":")
        made[name] = Field(value if found else None, f"{field.name}.{name}", entry.place)
    return Field(made, field.name, field.place)


def _repeated(field: Field) -> Field:
    if not isinstance(field.content, str):
        return field
    return Field([field], field.name, field.place)


def _rest(below: list[Field], above: list[Field], key: str) -> list[Field]:
    """Return the items of *below* that stay: those that *above* does not repeat; of mounts, those at other targets."""
    if key in PLACES:
        places = {_place(entry, key) for entry in above}
        return [entry for entry in below if _place(entry, key) not in places]
    again = {entry.content for entry in above if isinstance(entry.content, str)}
    return [entry for entry in below if not (isinstance(entry.content, str) and entry.content in again)]


def _build(field: Field) -> Field:
    if not isinstance(field.content, str):
        return field
    return Field({"context": Field(field.content, f"{field.name}.context", field.place)}, field.name, field.place)


def _driver(field: Field) -> str:
    found = field.content.get("driver") if isinstance(field.content, dict) else None
    return str(found.content) if found else ""


def _place(entry: Field, key: str) -> str:
    """Return the place of an item in the container; a secret or config without a target is at its source."""
    if isinstance(entry.content, dict):
        found = entry.content.get("target") or entry.content.get(PLACES[key])
        return str(found.content).rstrip("/") if found else ""
    parts = str(entry.content).split(":")
    return parts[min(1, len(parts) - 1)].rstrip("/")
