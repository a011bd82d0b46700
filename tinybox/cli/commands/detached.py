"""`run -d` and `create`: containers in the background, each run by a monitor process."""

from __future__ import annotations

from tinybox.cli.before_run import check_runtime, refuse_seeing, streams, warn_of_host_changes, warn_of_options
from tinybox.cli.pulling import MISSING, checked, with_image
from tinybox.container import launch, lifecycle
from tinybox.container.config import defaults
from tinybox.container.monitor import background
from tinybox.container.process.handles import Handles

TYPE_CHECKING = False
if TYPE_CHECKING:
    import _socket
    from typing import Any


def run(image: str, command: list[str], options: dict[str, Any]) -> int:
    """Run a container in the background; print its id as soon as its program runs."""
    container = registered(image, command, options, at_once=True)
    begin(container)
    print(container.id)
    return 0


def registered(
    image: str, command: list[str], options: dict[str, Any], *, at_once: bool = False
) -> lifecycle.Container:
    """Register a container, whose image is brought if need be; it is started *at_once*, or rests."""
    policy = checked(options.get("pull", MISSING))
    make = lambda: launch.register(image, command, options, Handles(), at_once=at_once)  # noqa: E731
    container = with_image(image, make, policy, options.get("platform", ""), quiet=bool(options.get("quiet")))
    warn_of_options(container)
    return container


def begin(container: lifecycle.Container, client: _socket.socket | None = None) -> None:
    """Start a registered container under a monitor; if its first start fails, the container is kept, as in docker.

    The monitor serves the attach connection *client* from the first byte of output on.
    """
    warn_of_host_changes(container)
    background.launch(container, client)


def create(image: str, command: list[str], options: dict[str, Any]) -> int:
    """Register a container without starting it; print its id."""
    refuse_seeing(options, "create: it executes no step")
    options = defaults.applied(options)
    check_runtime(options)
    streams(options)
    container = registered(image, command, options)
    container.handles.close()
    container.record.close()
    print(container.id)
    return 0
