"""A pytest plugin: containers, networks and compose projects for tests, made by `tinybox` and removed after the test.

pytest loads this file in every run where tinybox is installed. So it imports nothing but pytest; the rest is imported
when a test asks for a fixture. `-p no:tinybox` switches it off. docs/api.md describes the fixtures.
"""

from __future__ import annotations

import pytest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import ExitStack
    from typing import Any

    from pytest_tinybox.boxes import Box, ComposeProject, Shown
    from pytest_tinybox.command import Command

SHOWN = pytest.StashKey["list[Shown]"]()  # the boxes and projects of a test or a module, whose output a failure shows


@pytest.fixture(scope="session")
def tinybox_command() -> Command:
    """Give the command `tinybox`: call it with its arguments; where it may not make boxes, skip the test."""
    from pytest_tinybox import command

    return command.found()


@pytest.fixture
def _tinybox_removals() -> Iterator[ExitStack]:
    """Remove what a test has made, the last thing first: so its boxes go before the network that they are in."""
    from contextlib import ExitStack

    with ExitStack() as stack:
        yield stack


@pytest.fixture
def tinybox_container(
    tinybox_command: Command, _tinybox_removals: ExitStack, request: pytest.FixtureRequest
) -> Callable[..., Box]:
    """Give a function that runs a container in the background: ``tinybox_container("busybox", "httpd", publish="80")``.

    Further keywords are the options of `tinybox run`, with ``_`` for ``-``. The containers are removed when the test
    ends, the last one first; if it fails, their output is shown.
    """
    from pytest_tinybox.boxes import Box

    def run(image: str, *words: str, **options: Any) -> Box:
        box = Box.run(tinybox_command, image, words, options)
        _tinybox_removals.callback(box.remove)
        _show(request.node, box)
        return box

    return run


@pytest.fixture
def tinybox_network(tinybox_command: Command, _tinybox_removals: ExitStack) -> str:
    """Give the name of a network of this test alone: ``tinybox_container("busybox", ..., network=tinybox_network)``."""
    from pytest_tinybox.boxes import new_name

    name = new_name()
    tinybox_command("network", "create", name)
    _tinybox_removals.callback(tinybox_command, "network", "rm", "-f", name)
    return name


@pytest.fixture(scope="module")
def tinybox_compose_file(request: pytest.FixtureRequest) -> str:
    """Give the compose file beside the test module; override this fixture to name another one."""
    from pytest_tinybox.boxes import compose_file

    return compose_file(request.path.parent)


@pytest.fixture(scope="module")
def tinybox_compose(
    tinybox_command: Command, tinybox_compose_file: str, request: pytest.FixtureRequest
) -> Iterator[ComposeProject]:
    """Bring the project of `tinybox_compose_file` up, wait until its services are healthy, and give it.

    It is taken down, with its volumes, after the last test of the module; a test that fails shows its output.
    """
    from pytest_tinybox.boxes import ComposeProject, new_name

    project = ComposeProject(tinybox_command, tinybox_compose_file, new_name())
    try:
        project.up()
        _show(request.node, project)
        yield project
    finally:
        project.down()


def _show(node: pytest.Item | pytest.Collector, shown: Shown) -> None:
    node.stash.setdefault(SHOWN, []).append(shown)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Add the output of the test's boxes to the report of a failure, before they are removed."""
    outcome: Any = yield
    report: pytest.TestReport = outcome.get_result()
    if report.failed and report.when != "teardown":
        for node in item.listchain():
            for shown in node.stash.get(SHOWN, []):
                report.sections.append((f"tinybox {shown.kind} {shown.name}", shown.output()))
