"""Random input of every kind that a stranger writes: no traceback, no hang, one line for each error, nothing left.

hypothesis makes the input, and looks for a smaller one when a test fails. `make test` repeats the same few examples;
`make soak` takes new ones, some thousand for each test.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings

from tests.hostile import strategies
from tests.hostile.conftest import SOAK
from tests.support import forked_commands
from tests.support.registries import registry_in_python, reply
from tinybox.container.config import validate
from tinybox.container.planning import planner
from tinybox.container.planning.task import Task
from tinybox.container.process.handles import Handles
from tinybox.container.records import host
from tinybox.errors import TinyboxError
from tinybox.isolation.cgroups.group import Cgroup
from tinybox.linux import quick_json
from tinybox.oci import example

if TYPE_CHECKING:
    from collections.abc import Callable
    from http.server import BaseHTTPRequestHandler
    from pathlib import Path

    from tests.hostile.conftest import Store

pytestmark = pytest.mark.root

HEALTH = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large]


def fuzzed(short: int, long: int) -> Callable[[Any], Any]:
    """Return settings: *short* examples, always the same, or *long* new ones in a soak; see hypothesis."""
    return settings(
        max_examples=long if SOAK else short, derandomize=not SOAK, deadline=None, database=None,
        suppress_health_check=HEALTH, print_blob=False,
    )  # fmt: skip


def is_well(store: Store) -> bool:
    """Tell whether the store has nothing that a command in its midst has, and its image can still be listed."""
    return store.leftovers() == [] and "busybox" in store("images").stdout


@fuzzed(100, 20000)
@given(strategies.changed(example.example()))
def test_any_config_json(config: Any) -> None:
    """A config.json of another tool is refused by name, or it can be planned, which does nothing to the host."""
    here = host.read("")
    handles = Handles()
    try:
        read: Any = {}
        with suppress(ValueError):  # no JSON, which `validate.load` reports
            read = quick_json.loads(json.dumps(config))
        with suppress(TinyboxError):
            checked = validate.check(read)
            planner.plan(Task(checked, "/bundle", here, handles, Cgroup("tinybox/test", here.hierarchies)))
    finally:
        handles.close()


@fuzzed(6, 2000)
@given(content=strategies.ARCHIVES)
def test_any_archive(store: Store, content: bytes) -> None:
    """`import` and `load` unpack an archive inside of the store, or refuse it; no file appears beside."""
    for words in (("import", "-", "fuzz:1"), ("load",)):
        store(*words, stdin=content)
    store("rmi", "-f", "fuzz:1")
    assert is_well(store)


@fuzzed(12, 3000)
@given(text=strategies.COMPOSE_FILES)
def test_any_compose_file(store: Store, tmp_path: Path, text: str) -> None:
    """`compose config` prints the project, or the error in one line."""
    path = tmp_path / "compose.yaml"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    done = store("compose", "-f", str(path), "config")
    assert done.stderr.count("\n") <= 1 or all(line.startswith("warning") for line in done.stderr.splitlines()[:-1])


@fuzzed(5, 1000)
@given(text=strategies.CONTAINERFILES)
def test_any_containerfile(store: Store, text: str) -> None:
    """`build` makes an image, or names the line; its progress is on stderr, without a control character."""
    words = ("build", "--network", "none", "-q", "-t", "fuzz", "-")
    done = forked_commands.run(store.root, *words, stdin=text.encode("utf-8", "replace"),
                               settings={"TINYBOX_NETWORK": "none"})  # fmt: skip
    assert done.status not in (forked_commands.HUNG, 70), done
    assert "Traceback" not in done.stderr, done
    assert all(line.isprintable() for line in done.stderr.splitlines()), done
    if done.status == 0:
        store("rmi", "-f", "fuzz")
    assert is_well(store)


@fuzzed(15, 4000)
@given(template=strategies.TEMPLATES)
def test_any_template(store: Store, template: str) -> None:
    """--format prints what the template says, or what is wrong with it."""
    done = store("images", f"--format={template}")
    assert done.stderr.count("\n") <= 1


@fuzzed(25, 5000)
@given(options=strategies.RUN_OPTIONS)
def test_any_options_of_run(store: Store, options: list[str]) -> None:
    """The plan of `run` with any values of its options is printed, or one line says which value is wrong."""
    words = [option.encode("utf-8", "replace").decode().replace("\0", "") for option in options]
    done = store("run", "--dry-run", "--pull=never", *words, "busybox", "true")
    assert done.status in (0, 1, 125), done
    assert store.leftovers() == []


@fuzzed(4, 600)
@given(change=strategies.JSON, body=strategies.ARCHIVES)
def test_any_answer_of_a_registry(store: Store, change: Any, body: bytes) -> None:
    """`pull` refuses what a registry answers in place of a manifest or a layer; the store is as it was."""
    content = json.dumps(change).encode()

    def answer(handler: BaseHTTPRequestHandler) -> bool:
        if "/manifests/" in handler.path:
            kinds = (
                "application/vnd.oci.image.manifest.v1+json",
                "application/vnd.oci.image.index.v1+json",
                "text/html",
            )
            reply(handler, 200, content, {"Content-Type": kinds[len(content) % 3]})
            return True
        if "/blobs/" in handler.path:
            reply(handler, 200, body)
            return True
        return False

    with registry_in_python(answer) as registry:
        done = store("pull", "-q", f"{registry.host}/box:latest")
    assert done.status != 0, done
    assert is_well(store)
    assert not os.path.exists(f"{store.root}/names/{registry.host}")
