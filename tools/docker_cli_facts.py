"""Write tests/data/docker_cli.json: the commands and options that the help of an installed docker client names.

    python -m tools.docker_cli_facts > tests/data/docker_cli.json

It asks `docker ... --help`, which needs no daemon. Only facts are kept: the names of commands, their other names, and
of each option the name, the letter and the kind of its value. A docker plugin (buildx, compose) is not asked.
"""

from __future__ import annotations

import json
import re
import subprocess

OPTION = re.compile(r"^ {2}(?:-(?P<letter>\w), | {4})--(?P<name>[\w-]+)(?: (?P<kind>[\w-]+))?(?: {2,}|$)", re.MULTILINE)
SECTION = re.compile(r"^([A-Z][\w ]*):\n((?: {2}.*\n|\n)*)", re.MULTILINE)
COMMAND = re.compile(r"^ {2}(\w[\w-]*)\*? {2,}\S", re.MULTILINE)
# Options that the client accepts and does not list, and older names of options; from docker's documentation.
UNLISTED = {
    "run": {"dns-opt": "list", "net": "network", "net-alias": "list"},
    "stop": {"time": "int"},
    "restart": {"time": "int"},
}
# Groups for many machines or a daemon: only their names are kept.
OTHER_GROUPS = "config context manifest node plugin secret service stack swarm trust".split()
UNLISTED["create"] = UNLISTED["run"]


def asked(*words: str) -> str:
    """Return the help of one command."""
    done = subprocess.run(["docker", *words, "--help"], capture_output=True, text=True, check=True)
    return f"{done.stdout}\n"


def facts(words: tuple[str, ...] = ()) -> dict[str, dict[str, object]]:
    """Return the facts about the command *words* and all commands below it, by their full names."""
    text = asked(*words)
    sections = dict(SECTION.findall(text))
    inner = [name for title, body in sections.items() if title.endswith("ommands") for name in COMMAND.findall(body)]
    listed = "".join(body for title, body in sections.items() if title.endswith("ptions"))
    options = {match["name"]: [match["letter"] or "", match["kind"] or ""] for match in OPTION.finditer(listed)}
    options.pop("help", None)
    name = " ".join(words)
    found: dict[str, dict[str, object]] = {}
    names = [one.strip().removeprefix("docker ") for one in sections.get("Aliases", "").split(",") if one.strip()]
    first = min([*names, name], key=lambda one: (one.count(" "), one != name, len(one)))
    options |= {hidden: ["", kind] for hidden, kind in UNLISTED.get(first, {}).items()}
    if name in OTHER_GROUPS:
        return {name: {"group": True, "options": {}}}
    if inner:
        found[name] = {"group": True, "options": options}
        for word in sorted(inner):
            found |= facts((*words, word))
        return found
    for each in [*names, name]:
        found[each] = {"same_as": first} if each != first else {"options": options}
    return found


def main() -> None:
    """Print the facts as JSON, a line a command."""
    version = subprocess.run(["docker", "--version"], capture_output=True, text=True, check=True)
    lines = [f"  {json.dumps(name)}: {json.dumps(known)}" for name, known in sorted(facts().items())]
    number = version.stdout.split()[2].rstrip(",")
    print(f'{{\n "version": {json.dumps(number)},\n "commands": {{\n' + ",\n".join(lines) + "\n }\n}")


if __name__ == "__main__":
    main()
