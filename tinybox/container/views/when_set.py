"""A part of inspect's answer with fields that docker's JSON has only if they are set.

docker's own programs know all fields, so a template such as ``{{.State.Health}}`` finds each of them, and prints
docker's word for nothing. In JSON a field that is not set is left out: a script that asks ``"Health" in state`` relies
on that.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import ItemsView, Mapping
    from typing import Any


class WhenSet(dict[str, "Any"]):
    """The *fields* of an object, and those of *optional* that they lack; items(), for json, omits empty ones."""

    def __init__(self, fields: Mapping[str, Any], optional: Mapping[str, Any]) -> None:
        super().__init__({**optional, **fields})
        self._optional = frozenset(optional)

    def items(self) -> ItemsView[str, Any]:  # type: ignore[override]  # dict_items
        """Return the fields without the optional ones that are empty."""
        return {key: value for key, value in super().items() if value or key not in self._optional}.items()
