"""state, list and ps: what there is to see of OCI containers, in words that engines parse."""

from __future__ import annotations

import json
import os

from tinybox.container.records import spec
from tinybox.errors import StateError, UsageError
from tinybox.oci import ending, record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tinybox.oci.record import Record
    from tinybox.oci.words import Words

COLUMNS = ("ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER")


def state(entry: Record) -> dict[str, Any]:
    """Return the specification's ``state`` object of a container; see "State" in runtime.md."""
    status = entry.status()
    alive = status in ending.SIGNALLED
    if alive and ending.group_of(entry).frozen():
        status = record.PAUSED
    found = {
        "ociVersion": entry.state.get("ociVersion", spec.OCI_VERSION),
        "id": entry.id,
        "status": status,
        "pid": entry.state["pid"] if alive else 0,
        "bundle": entry.state.get("bundle", ""),
    }
    if entry.state.get("annotations"):
        found["annotations"] = entry.state["annotations"]
    return found


def show_state(words: Words) -> None:
    """Print the state of a container."""
    with record.look(words.root(), words.arguments[0]) as entry:
        print(json.dumps(state(entry), indent=2))


def listed(entry: Record) -> dict[str, Any]:
    """Return what `list` tells of a container, as runc does: its state, where its root is, since when, and whose."""
    try:
        rootfs = os.path.join(entry.state.get("bundle", ""), entry.config()["root"]["path"])
    except UsageError:
        rootfs = ""
    more = {"rootfs": rootfs, "created": entry.state.get("created", ""), "owner": "root"}
    return state(entry) | more


def show_list(words: Words) -> None:
    """Print every container below --root: a table, JSON, or ids alone."""
    root, rows = words.root(), []
    for container in record.ids(root):
        try:
            with record.look(root, container) as entry:
                rows.append(listed(entry))
        except StateError:
            continue  # gone meanwhile
    if "quiet" in words.flags:
        print("\n".join(row["id"] for row in rows), end="\n" if rows else "")
    elif words.value("format", "table") == "json":
        print(json.dumps(rows))
    elif words.value("format", "table") == "table":
        show_table([COLUMNS, *([str(row[column.lower()]) for column in COLUMNS] for row in rows)])
    else:
        raise UsageError(f"--format {words.value('format')}", "is no format", "table, json")


def show_table(rows: list[Any]) -> None:
    """Print rows of words, each column as wide as its widest word."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        print("   ".join(word.ljust(width) for word, width in zip(row, widths, strict=True)).rstrip())


def show_processes(words: Words) -> None:
    """Print the numbers of a container's processes as JSON, or what ps(1) tells of them."""
    with record.look(words.root(), words.arguments[0]) as entry:
        pids = ending.group_of(entry).processes()
    if words.value("format", "table") == "json":
        print(json.dumps(pids))
        return
    import subprocess

    table = subprocess.run(["ps", *(words.arguments[1:] or ["-ef"])], capture_output=True, text=True, check=False)
    title, *lines = table.stdout.splitlines() or [""]
    if table.returncode or "PID" not in title.split():
        raise UsageError("ps", table.stderr.strip() or "its output has no column PID", "see ps(1)")
    column = title.split().index("PID")
    print("\n".join([title, *(line for line in lines if int(line.split()[column]) in pids)]))
