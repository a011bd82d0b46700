"""The verbs state, list and ps: print OCI containers and their processes, in formats that engines parse."""

from __future__ import annotations

import os

from tinybox.errors import DamagedError, StateError, UsageError, printable, report
from tinybox.linux import quick_json as json
from tinybox.oci import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tinybox.oci.command_line import CommandLine
    from tinybox.oci.record import Record

COLUMNS = ("ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER")


def state(entry: Record) -> dict[str, Any]:
    """Return the specification's ``state`` object of a container; see "State" in runtime.md."""
    status = entry.status()
    alive = status in record.SIGNALLED
    if alive and _is_frozen(entry):
        status = record.PAUSED
    found = {
        "ociVersion": entry.state.get("ociVersion", record.OCI_VERSION),
        "id": entry.id,
        "status": status,
        "pid": entry.state["pid"] if alive else 0,
        "bundle": entry.state.get("bundle", ""),
    }
    if entry.state.get("annotations"):
        found["annotations"] = entry.state["annotations"]
    return found


def _is_frozen(entry: Record) -> bool:
    from tinybox.oci import groups  # late: a stopped container has no process that could be frozen

    return groups.is_frozen(entry)


def show_state(command: CommandLine) -> None:
    """Print the state of a container."""
    with record.open_unlocked(command.root(), command.arguments[0]) as entry:
        print(laid_out(state(entry)))


def laid_out(value: Any, margin: str = "") -> str:
    """Return *value* as JSON with a line for each key of an object, indented by two more than *margin*, as in runc."""
    if not isinstance(value, dict) or not value:
        return json.dumps(value)
    inner = f"{margin}  "
    lines = [f"{inner}{json.dumps(key)}: {laid_out(below, inner)}" for key, below in value.items()]
    return "\n".join(["{", ",\n".join(lines), f"{margin}}}"])


def listed(entry: Record) -> dict[str, Any]:
    """Return the fields of `list` for a container, as in runc: its state, rootfs, creation time and owner."""
    try:
        rootfs = os.path.join(entry.state.get("bundle", ""), entry.config()["root"]["path"])
    except (UsageError, DamagedError):
        rootfs = ""
    more = {"rootfs": rootfs, "created": entry.state.get("created", ""), "owner": "root"}
    return state(entry) | more


def show_list(command: CommandLine) -> None:
    """Print every container below --root: a table, JSON, or ids alone."""
    root, rows = command.root(), []
    for container in record.ids(root):
        try:
            with record.open_unlocked(root, container) as entry:
                rows.append(listed(entry))
        except DamagedError as error:
            report(error)
        except StateError:
            continue  # deleted by another command
    if "quiet" in command.flags:
        print("\n".join(row["id"] for row in rows), end="\n" if rows else "")
    elif command.value("format", "table") == "json":
        print(json.dumps(rows))
    elif command.value("format", "table") == "table":
        show_table([COLUMNS, *([str(row[column.lower()]) for column in COLUMNS] for row in rows)])
    else:
        raise UsageError(f"--format {command.value('format')}", "is no format", "table, json")


def show_table(rows: list[Any]) -> None:
    """Print rows of texts, each column as wide as its longest text."""
    rows = [[printable(text) for text in row] for row in rows]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        print("   ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())


def show_processes(command: CommandLine) -> None:
    """Print the pids of a container's processes as JSON, or the lines of ps(1) about them."""
    with record.open_unlocked(command.root(), command.arguments[0]) as entry:
        from tinybox.oci import groups

        pids = groups.of(entry).processes()
    if command.value("format", "table") == "json":
        print(json.dumps(pids))
        return
    import subprocess

    table = subprocess.run(["ps", *(command.arguments[1:] or ["-ef"])], capture_output=True, text=True, check=False)
    title, *lines = table.stdout.splitlines() or [""]
    if table.returncode or "PID" not in title.split():
        raise UsageError("ps", table.stderr.strip() or "its output has no column PID", "see ps(1)")
    column = title.split().index("PID")
    print("\n".join([title, *(line for line in lines if int(line.split()[column]) in pids)]))
