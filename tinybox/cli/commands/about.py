"""`tinybox version` and `tinybox info`: about tinybox, this host and the store, as text, as JSON or by a template."""

from __future__ import annotations

import os
from typing import Any

import click

from tinybox.cli.formatting.functions import as_json
from tinybox.cli.formatting.options import print_lines
from tinybox.cli.formatting.template import of_document, unescaped
from tinybox.container.records.paths import Paths
from tinybox.container.views import host_facts, units
from tinybox.errors import printable
from tinybox.images.registry import hosts
from tinybox.version import __version__

FORMAT = click.option(
    "-f", "--format", "style", default="", metavar="FORMAT", help="json, or a template such as '{{.Server.Version}}'."
)


def _print(facts: dict[str, Any], style: str, lines: list[str]) -> None:
    if style == "json":
        lines = [as_json(facts)]
    elif style:
        lines = [of_document(unescaped(style)).render(facts)]
    else:
        lines = [printable(line) for line in lines]
    print_lines(lines)


@click.command()
@FORMAT
def version(style: str) -> None:
    """Show the versions of tinybox, Python and the kernel. There is no daemon: client and server are one program."""
    facts = host_facts.versions(__version__)
    lines: list[str] = []
    for part in ("Client", "Server"):
        found = facts[part]
        lines += [f"{part}: tinybox", f" Version:           {found['Version']}"]
        lines += [f" OS/Arch:           {found['Os']}/{found['Arch']}"]
        lines += [f" Python:            {found['PythonVersion']}"]
        lines += [f" Kernel:            {found['KernelVersion']}"] if part == "Server" else [""]
    _print(facts, style, lines)


def _setting(item: tuple[str, Any]) -> str:
    key, value = item
    return f"{key}: {' '.join(f'{name}={text}' for name, text in value.items()) if isinstance(value, dict) else value}"


# The heading of each line of `info`, as docker's, and its field; a field of several words is under its first.
LINES = {
    "Containers": "Containers",
    " Running": "ContainersRunning",
    " Paused": "ContainersPaused",
    " Stopped": "ContainersStopped",
    "Images": "Images",
    "Server Version": "ServerVersion",
    "Storage Driver": "Driver",
    "Logging Driver": "LoggingDriver",
    "Cgroup Driver": "CgroupDriver",
    "Cgroup Version": "CgroupVersion",
    "Default Runtime": "DefaultRuntime",
    "Kernel Version": "KernelVersion",
    "Operating System": "OperatingSystem",
    "OSType": "OSType",
    "Architecture": "Architecture",
    "CPUs": "NCPU",
    "Total Memory": "MemTotal",
    "Name": "Name",
    "Store": "DockerRootDir",
}


@click.command()
@FORMAT
def info(style: str) -> None:
    """Show what the store holds, and what this host is and can limit; fields of --format have docker's names."""
    facts = host_facts.information(Paths(), __version__)
    shown = {**facts, "MemTotal": units.binary_size(facts["MemTotal"])}
    lines = [f"{heading}: {shown[field]}" for heading, field in LINES.items()]
    lines += [
        f"Configuration: {file['Path']} ({', '.join(map(_setting, file['Settings'].items()))})"
        for file in facts["ConfigurationFiles"]
    ]
    read = [path for path in (hosts.DOCKERS_FILE, hosts.PODMANS_FILE) if os.path.exists(path)]
    lines += [f"Registries and mirrors: {', '.join(read)}"] if read else []
    _print(facts, style, [*lines, *facts["Warnings"]])
