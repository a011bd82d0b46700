"""Update the parts of the documents that are made from the code: the purpose, drawings and length of each file.

    python -m tools.documents

A part is between ``<!-- made: NAME -->`` and ``<!-- end -->``. A guard makes the parts in memory, and compares.
"""

from __future__ import annotations

import ast
import re
import sys
import textwrap
from pathlib import Path

from tinybox.container.config.options import ALIASES, OPTIONS

CHECKOUT = Path(__file__).parents[1]
ARCHITECTURE, READING_ORDER = CHECKOUT / "docs/architecture.md", CHECKOUT / "docs/reading-order.md"
README, COMPOSE = CHECKOUT / "README.md", CHECKOUT / "docs/compose.md"
FILLED = (ARCHITECTURE, README, COMPOSE)
WIDTH = 100
LINES_A_MINUTE = 30  # read aloud, with time to look at the manual

# The packages from bottom to top; a name without a directory is left out.
GROUND_UP = (
    "",
    "linux",
    "linux/filesystem",
    "linux/machine_code",
    "linux/signals",
    "linux/sockets",
    "pictures",
    "isolation",
    "isolation/cgroups",
    "isolation/seccomp",
    "isolation/network",
    "isolation/rootless",
    "images",
    "images/archives",
    "images/recipes",
    "images/registry",
    "container/records",
    "container/process",
    "container/storage",
    "container/network",
    "container/planning",
    "container/config",
    "container/config/volumes",
    "container/checkpoints",
    "container",
    "container/files",
    "container/monitor",
    "container/views",
    "build/files",
    "build",
    "seeing",
    "seeing/lab_pages",
    "seeing/watch",
    "doctor",
    "lab",
    "lab/catalogue",
    "workshop",
    "workshop/catalogue",
    "workshop/solutions",
    "exercises",
    "exercises/catalogue",
    "compose/reading",
    "compose",
    "api",
    "oci",
    "cli",
    "cli/formatting",
    "cli/commands",
    "cli/commands/image",
    "cli/commands/compose",
)
# The folders of container/, from the ground up; "" are the files on top of it. Folders on one floor are independent.
CONTAINER_FLOORS: tuple[tuple[str, ...], ...] = (
    ("records",),
    ("process",),
    ("storage",),
    ("network",),
    ("planning", "config"),
    ("checkpoints",),
    ("",),
    ("files", "monitor"),
    ("views",),
)
ROOMS = [name for name in GROUND_UP if (CHECKOUT / "tinybox" / name).is_dir()]
PART = re.compile(r"(<!-- made: (\S+) -->\n).*?(<!-- end -->\n)", re.DOTALL)
READ = re.compile(r"(\]\(\.\./([\w/.-]+)\), )\d+( min)")


def docstring(path: Path) -> str:
    """Return the docstring of a file."""
    return ast.get_docstring(ast.parse(path.read_text())) or ""


def purpose(path: Path) -> str:
    """Return the first line of the docstring of a file: its purpose."""
    return docstring(path).partition("\n")[0]


def entry(path: Path) -> str:
    """Return the name and the purpose of a file, as an item of a list."""
    text = f"- `{path.name}` {purpose(path)}"
    return textwrap.fill(text, WIDTH, subsequent_indent="  ", break_on_hyphens=False, break_long_words=False)


def room(name: str) -> str:
    """Return a list of the files of one package, below the name and the purpose of the package."""
    folder = CHECKOUT / "tinybox" / name
    files = [path for path in sorted(folder.glob("*.py")) if path.name not in ("__init__.py", "__main__.py")]
    title = f"### tinybox/{name}{'/' if name else ''}\n\n{textwrap.fill(purpose(folder / '__init__.py'), WIDTH)}"
    return "\n".join([title, "", *map(entry, files)])


def house() -> str:
    """Return the lists of all packages, from bottom to top."""
    return "\n\n".join(map(room, ROOMS))


def floors() -> str:
    """Return the folders of container/ with their sentences, the top floor first."""
    lines = []
    for floor in reversed(CONTAINER_FLOORS):
        for name in floor:
            folder = CHECKOUT / "tinybox/container" / name
            verbs = sorted(path.stem for path in folder.glob("*.py") if path.stem != "__init__")
            says = f"one file a verb: {', '.join(verbs)}" if not name else purpose(folder / "__init__.py")
            lines += textwrap.wrap(says, WIDTH, initial_indent=f"    {name + '/':<11}" if name else "    (on top)   ",
                                   subsequent_indent=" " * 15)  # fmt: skip
    return "\n".join(lines)


def drawing(name: str) -> str:
    """Return the drawing in the docstring of a file: its second paragraph."""
    text = docstring(CHECKOUT / "tinybox" / name).split("\n\n")[1]
    return textwrap.indent(textwrap.dedent(text).rstrip(), "    ")


def options() -> str:
    """Return the options of `run` as a table, a row a group."""
    rows: dict[str, list[str]] = {}
    for option in OPTIONS:
        names = [f"-{option.short}"] * bool(option.short)
        names += [f"--{alias}" for alias, name in ALIASES.items() if name == option.name]
        rows.setdefault(option.group, []).append(f"`{'/'.join([*names, f'--{option.name}'])}`")
    lines = [f"| {group} | {' '.join(words)} |" for group, words in rows.items()]
    return "\n".join(["| group | options |", "|---|---|", *lines])


def compose_keys() -> str:
    """Return the keys of a compose file that are an option of `run`, a row a group, with the option's other name."""
    rows: dict[str, list[str]] = {}
    for option in OPTIONS:
        if option.compose:
            other = f" (`--{option.name}`)" if option.compose != option.key else ""
            rows.setdefault(option.group, []).append(f"`{option.compose}`{other}")
    lines = [f"| {group} | {', '.join(words)} |" for group, words in rows.items()]
    return "\n".join(["| group | keys |", "|---|---|", *lines])


def compose_outcomes() -> str:
    """Return how many keys of a compose file have an effect, and those that have none, with the reasons."""
    from tools import compose_keys as tried

    return tried.table()


def made(name: str) -> str:
    """Return the part of a document that is called *name*: one of these functions, or a file with a drawing."""
    parts = {
        "house": house,
        "floors": floors,
        "options": options,
        "compose-keys": compose_keys,
        "compose-outcomes": compose_outcomes,
    }
    return parts[name]() if name in parts else drawing(name)


def filled(text: str) -> str:
    """Return a document with all its made parts updated."""
    return PART.sub(lambda match: f"{match[1]}\n{made(match[2])}\n\n{match[3]}", text)


def minutes(path: Path) -> int:
    """Return how long it takes to read a file aloud."""
    return max(1, round(len(path.read_text().splitlines()) / LINES_A_MINUTE))


def timed(text: str) -> str:
    """Return the reading order with the current minutes of each file and of all files."""
    total = sum(minutes(CHECKOUT / match[2]) for match in READ.finditer(text))
    text = re.sub(r"\d+ minutes in all", f"{total} minutes in all", text)
    return READ.sub(lambda match: f"{match[1]}{minutes(CHECKOUT / match[2])}{match[3]}", text)


def main() -> int:
    """Update the documents."""
    for path in FILLED:
        path.write_text(filled(path.read_text()))
    READING_ORDER.write_text(timed(READING_ORDER.read_text()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
