"""Start-up is fast because few modules are loaded. Timing a start is noisy; the list of loaded modules is not.

With PYTHONPROFILEIMPORTTIME Python itself reports every module that a run of the installed command loads.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.guards import plain_run
from tests.guards.plain_run import loaded
from tests.oci.conftest import runtime
from tests.support.engine_directories import RUNTIME
from tests.support.slowness import SLOWNESS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.conftest import Command
    from tests.support.oci_runtimes import Runtime

__all__ = ["runtime"]

# Modules that must not be loaded on the way to a box, with their cost (ms, on the machine of the measurement).
NEVER = {
    "argparse": 8,
    "asyncio": 60,
    "concurrent.futures": 5,
    "dataclasses": 15,
    "email": 20,
    "hashlib": 2,
    "http": 15,
    "importlib.metadata": 30,
    "importlib.resources": 15,
    "logging": 9,
    "multiprocessing": 15,
    "pathlib": 10,
    "pkg_resources": 100,
    "pyroute2": 150,
    "random": 4,
    "shutil": 6,
    "socket": 5,
    "sqlite3": 6,
    "ssl": 15,
    "subprocess": 11,
    "tarfile": 10,
    "tempfile": 8,
    "tomllib": 4,
    "traceback": 5,
    "unittest": 20,
    "urllib": 10,
    "xml": 5,
    "zipfile": 8,
}

TINYBOX = str(Path(sys.executable).with_name("tinybox"))

# What only a container needs. When click prints help it asks shutil for the width of the terminal.
NEVER_IN_HELP = {
    name: cost for name, cost in NEVER.items() if name not in ("shutil", "random", "hashlib", "tomllib")
} | {
    "tinybox.container.lifecycle": 20,
    "tinybox.container.planning": 10,
    "tinybox.container.process.spawn": 10,
    "tinybox.images.intake": 15,
    "tinybox.lab.course": 20,
}

# Modules that `tinybox run` must not load either. click brings the first six (30 ms): for help, errors, completion.
NEVER_IN_RUN = NEVER | {
    "click": 30,
    "inspect": 15,
    "typing": 4,
    "datetime": 2,
    "gettext": 1,
    "uuid": 2,
    "ast": 3,
    "threading": 2,
    "json": 5,
    "re": 3,
    "enum": 2,
    "signal": 2,
    "resource": 1,  # only with limits
    "termios": 1,  # only with a terminal
    "tinybox.seeing": 20,  # only with --explain
    "tinybox.workshop": 5,
    "tinybox.exercises": 5,
    "tinybox.cli.rootless": 2,  # only for a user without root, as the next two
    "tinybox.isolation.rootless.home": 2,
    "tinybox.isolation.pid_members": 1,
    "tinybox.container.planning.omissions": 1,
}


def unwanted(modules: set[str], never: dict[str, int]) -> dict[str, int]:
    """Choose from *modules* those that *never* lists, themselves or by their package, with their cost."""
    return {
        name: cost for name, cost in never.items() if any(f"{module}.".startswith(f"{name}.") for module in modules)
    }


def modules_of(words: list[str], environment: dict[str, str]) -> set[str]:
    """Run a command and return the modules that it loaded; it must succeed."""
    settings = {**environment, "PYTHONPROFILEIMPORTTIME": "1"}
    done = subprocess.run(words, env=settings, capture_output=True, text=True, check=False, timeout=120 * SLOWNESS)
    assert done.returncode == 0, done.stderr
    return loaded(done.stderr)


def test_help_loads_no_engine() -> None:
    """`tinybox run --help` loads click and the options of the command, and no module that makes a container."""
    modules = modules_of([TINYBOX, "run", "--help"], dict(os.environ))
    assert "click" in modules  # the control: the list is really read
    assert not unwanted(modules, NEVER_IN_HELP | {"ctypes": 5})
    assert len(own_of(modules)) <= 20


def own_of(modules: Iterable[str]) -> list[str]:
    """Choose the modules of tinybox."""
    return sorted(name for name in modules if name.startswith("tinybox."))


FILES_OF_COMMANDS = """
import importlib, json, os, sys
from tinybox.cli import app
from tinybox.cli.commands import groups
from tinybox.cli.commands.compose import group
tables = [app.COMMANDS, group.TABLE, groups.OF_IMAGES, groups.OF_CONTAINERS, groups.OF_SYSTEM, groups.OF_BUILDS]
for name in sorted({entry[0] for table in tables for entry in table.values()}):
    sys.stdout.flush()
    if os.fork() == 0:  # each file of commands is loaded in a process of its own
        importlib.import_module(name)
        print(json.dumps([name, sorted(sys.modules)]))
        sys.stdout.flush()
        os._exit(0)
    assert os.wait()[1] == 0, name
"""


def test_no_command_loads_the_engine_for_its_help() -> None:
    """Each file of commands, as `--help` loads it, brings at most 84 files of tinybox, and none that makes a box.

    Without the engine a help costs click, which is half of it, and a few milliseconds.
    """
    done = subprocess.run([sys.executable, "-c", FILES_OF_COMMANDS], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = {name: set(modules) for name, modules in map(json.loads, done.stdout.splitlines())}
    assert len(found) > 40
    assert {name: heavy for name, modules in found.items() if (heavy := unwanted(modules, NEVER_IN_HELP))} == {}
    assert {name: own for name, modules in found.items() if len(own := own_of(modules)) > 84} == {}


def test_import_tinybox_loads_nothing_else() -> None:
    """`import tinybox` is one file; its names are there before they are loaded. Control: the use of one loads it."""
    modules = modules_of([sys.executable, "-c", "import tinybox; assert 'Container' in dir(tinybox)"], dict(os.environ))
    assert {name for name in modules if name.partition(".")[0] == "tinybox"} == {"tinybox"}
    modules = modules_of([sys.executable, "-c", "import tinybox; tinybox.Container"], dict(os.environ))
    assert "tinybox.api.containers" in modules


def test_the_whole_library_loads_nothing_of_the_command_line() -> None:
    """Every public name, and every file of tinybox/api: no click, and no file of tinybox/cli."""
    text = (
        "import tinybox, pkgutil, tinybox.api; [getattr(tinybox, name) for name in dir(tinybox)];"
        "[__import__(found.name) for found in pkgutil.iter_modules(tinybox.api.__path__, 'tinybox.api.')]"
    )
    modules = modules_of([sys.executable, "-c", text], dict(os.environ))
    assert {"tinybox.api.images", "tinybox.api.networks"} <= modules  # the control
    assert not unwanted(modules, {"click": 30, "tinybox.cli": 5, "rich": 50, "pyroute2": 150})


def test_the_function_run_loads_only_what_it_uses() -> None:
    """`tinybox.run` loads what the command of this name loads: no other object of the library, and no typing."""
    modules = modules_of([sys.executable, "-c", "import tinybox; tinybox.run"], dict(os.environ))
    assert "tinybox.container.lifecycle" in modules  # the control
    never = {**NEVER_IN_RUN, "tinybox.api.containers": 5, "tinybox.images.registry": 20}
    del never["termios"]  # a container without --rm has a log, and so attached terminals
    assert not unwanted(modules, never)


@pytest.mark.root
@pytest.mark.parametrize("network", ["none", "host", "bridge"])
def test_a_box_without_a_network_loads_nothing_of_it(tinybox: Command, network: str) -> None:
    """With --network none or host no network module is loaded; on the bridge those that make links, and no library.

    So no subprocess either: there is no process nft(8).
    """
    words = [tinybox.path, "run", "--rm", "--network", network, "busybox", "true"]
    modules = modules_of(words, tinybox.environment)
    laying = {
        "tinybox.container.network.endpoints",
        "tinybox.container.network.link_maker",
        "tinybox.isolation.network.interfaces",
        "tinybox.linux.sockets.netlink",
        "tinybox.linux.sockets.link_requests",
        "tinybox.linux.sockets.nftables",
    }
    assert modules & laying == (laying if network == "bridge" else set())
    never = {"tinybox.linux.sockets.rtnetlink": 1, "collections": 2, "functools": 1, "contextlib": 1}
    assert not unwanted(modules, NEVER_IN_RUN | never)


@pytest.mark.root
def test_run_loads_only_what_it_uses(tinybox: Command) -> None:
    """`tinybox run` loads the engine, without click, typing or any other heavy module."""
    words = [tinybox.path, "run", "--rm", "--network", "none", "busybox", "true"]
    modules = modules_of(words, tinybox.environment)
    assert "tinybox.linux.process" in modules  # the control
    assert not unwanted(modules, NEVER_IN_RUN | {"collections": 2, "functools": 1})


@pytest.mark.root
def test_a_detached_run_loads_only_what_it_uses(tinybox: Command) -> None:
    """`run -d` loads what `run` does, and the monitor: nothing of `start`, `attach` and `stop`, and no heavy module."""
    words = [tinybox.path, "run", "-d", "--name", "guarded", "--network", "none", "busybox", "sleep", "1000"]
    try:
        modules = modules_of(words, tinybox.environment)
    finally:
        tinybox("rm", "-f", "guarded")
    assert "tinybox.container.monitor.background" in modules  # the control
    never = {
        "tinybox.container.control": 3,
        "tinybox.container.network.addresses": 2,
        "tinybox.container.monitor.attach": 1,
        "tinybox.isolation.terminal": 1,
    }
    never |= {"collections": 2, "functools": 1, "contextlib": 1, "math": 1}
    assert not unwanted(modules, NEVER_IN_RUN | never)


@pytest.mark.root
@pytest.mark.skipif(sys.version_info[:2] != plain_run.VERSION, reason="the record has the bytes of another Python")
def test_a_plain_run_loads_no_more_code(tinybox: Command) -> None:
    """The number of tinybox's modules and the bytes of their code are less than 5 % above the record."""
    modules = modules_of([tinybox.path, *plain_run.ARGUMENTS], tinybox.environment)
    found = plain_run.sizes(modules)
    assert len(found) > 80  # the control: the modules are really counted
    assert not (said := plain_run.complaint(json.loads(plain_run.RECORD.read_text()), found)), said


def test_more_code_is_found() -> None:
    """The guard works: 5 % more bytes or modules are refused by the name of what grew; less growth is accepted."""
    record = {f"tinybox.m{number}": 1000 for number in range(40)}
    assert not plain_run.complaint(record, record | {"tinybox.m1": 2900, "tinybox.m2": 10})
    assert "tinybox.m1: 2000 bytes more" in plain_run.complaint(record, record | {"tinybox.m1": 3000})
    assert not plain_run.complaint(record, record | {"tinybox.new": 10})
    assert "tinybox.new: 10 bytes more" in plain_run.complaint(record, record | {"tinybox.new": 10, "tinybox.x": 1})


@pytest.mark.root
def test_exec_loads_only_what_it_uses(tinybox: Command) -> None:
    """`tinybox exec` loads the part of the engine that joins a box: no click, no options of `run`, no image."""
    box = tinybox("run", "-d", "--network", "none", "busybox", "sleep", "1000").stdout.strip()
    try:
        modules = modules_of([tinybox.path, "exec", box, "true"], tinybox.environment)
    finally:
        tinybox("rm", "-f", box)
    assert "tinybox.container.execute" in modules  # the control
    never = {
        "tinybox.cli.app": 40,
        "tinybox.container.launch": 20,
        "tinybox.container.lifecycle": 10,
        "tinybox.container.config.configure": 5,
        "tinybox.container.planning.planner": 5,
        "tinybox.container.network": 5,
        "tinybox.images.store": 2,
        "tinybox.isolation.mounts": 1,
        "tinybox.isolation.rootfs": 1,
        "tinybox.isolation.cgroups.device_filter": 1,
    }
    assert not unwanted(modules, NEVER_IN_RUN | never | {"collections": 2, "functools": 1})


@pytest.mark.root
def test_oci_run_loads_only_what_it_uses(runtime: Runtime) -> None:
    """`tinybox-oci run` loads the engine and the table of its options, and nothing for lectures."""
    runtime.program("true")
    words = [RUNTIME, "--root", str(runtime.root), "run", "--bundle", str(runtime.bundle), "box"]
    modules = modules_of(words, dict(os.environ))
    assert "tinybox.oci.command_line" in modules  # the control
    never = NEVER_IN_RUN | {"tinybox.cli": 5, "tinybox.lab": 5, "tinybox.images": 3}
    del never["resource"]  # this bundle limits the open files
    assert not unwanted(modules, never)


@pytest.mark.parametrize("statement", ["import pathlib", "import http.client", "from concurrent.futures import thread"])
def test_a_heavy_module_is_found(statement: str) -> None:
    """The guard works: a module of the list, a module of a package of the list, one that another one imports."""
    assert unwanted(modules_of([sys.executable, "-c", statement], dict(os.environ)), NEVER)


def test_a_light_module_is_accepted() -> None:
    """The control: modules that the engine may load, and names that only begin like a forbidden one."""
    light = "import os, sys, errno, stat, ctypes, _json, _signal, select, fcntl, struct, time"
    assert not unwanted(modules_of([sys.executable, "-c", light], dict(os.environ)), NEVER_IN_RUN)
    assert not unwanted({"sslx", "tinybox.ssl"}, NEVER)
