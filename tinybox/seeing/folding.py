"""Fold calls that found no file into one sentence: on a host with hierarchies of version 1, most of them are absent.

A sentence replaces the calls only if several calls of one step ask for the same path but for one part of it.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeAlias

    Event: TypeAlias = dict[str, Any]

ENOENT = -2
FEW = 2  # so many calls without a file are shown as they are


def without_missing(calls: list[Event]) -> tuple[list[Event], list[str]]:
    """Return the other *calls* of a step, and a sentence for each group of calls that found no file."""
    groups: dict[tuple[str, ...], list[Event]] = {}
    for event in calls:
        path = path_of(event)
        if event.get("result") == ENOENT and path:
            parts = path.split("/")
            groups.setdefault((event["call"], str(len(parts)), parts[-1]), []).append(event)
    folded: list[Event] = []
    sentences = []
    for group in groups.values():
        kept, differing = first_and_differing([path_of(event).split("/") for event in group])
        if len(group) > FEW and len(differing) == 1:
            names = ", ".join(event_parts[differing[0]] for event_parts in (path_of(each).split("/") for each in group))
            kept[differing[0]] = "*"
            manual = group[0]["manual"]
            sentences.append(f"{len(group)} calls of {manual} found no file {'/'.join(kept)} (ENOENT), for {names}")
            folded += group
    return [event for event in calls if not any(event is one for one in folded)], sentences


def path_of(event: Event) -> str:
    """Return the absolute path in quotes that a call has as an argument; empty if there is none."""
    for argument in event.get("arguments", ()):
        if argument.startswith('"/'):
            return str(argument[1:-1])
    return ""


def first_and_differing(paths: list[list[str]]) -> tuple[list[str], list[int]]:
    """Return the parts of the first path, and the places at which the paths, of equal length, differ."""
    places = [number for number, parts in enumerate(zip(*paths, strict=True)) if len(set(parts)) > 1]
    return list(paths[0]), places
