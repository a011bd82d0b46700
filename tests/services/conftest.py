"""Services for the tests by pytest-docker, with tinybox as the engine: a registry and a web server for the session.

pytest-docker calls the installed `tinybox compose`. These tests have a folder of their own, which comes in the
alphabet after the tests of boxes and networks: so no service runs beside those.
"""

from __future__ import annotations

import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.conftest import Command
from tests.support import own_network
from tests.support.no_trace import leaves_no_trace
from tests.support.slowness import SLOWNESS

if TYPE_CHECKING:
    from pytest_docker.plugin import Services

__all__ = ["leaves_no_trace"]

IMAGES = ("registry", "nginx")
PATIENCE = 120.0 * SLOWNESS


@pytest.fixture(scope="session")
def docker_compose_command(store_root: Path) -> str:
    """Give the command that pytest-docker calls; skip if the images of the services cannot be made."""
    command = Command(store_root)
    for name in IMAGES:
        if command("images", "-q", name).stdout.strip():
            continue
        with own_network.of_the_machine():
            done = command("pull", name, timeout=900 * SLOWNESS)
        if done.returncode != 0:
            pytest.skip(f"the image {name} cannot be made here: {done.stderr.splitlines()[-1]}")
    return f"env TINYBOX_ROOT={store_root} {command.path} compose"


@pytest.fixture(scope="session")
def docker_compose_file() -> str:
    """Give the file of the services."""
    return str(Path(__file__).with_name("services.yml"))


def fetched(url: str) -> bytes:
    """Return the response of an HTTP server at *url*, without any proxy."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(url, timeout=30 * SLOWNESS) as answer:
        return bytes(answer.read())


def answers(url: str) -> bool:
    """Tell whether an HTTP server answers at *url*."""
    try:
        fetched(url)
    except (urllib.error.URLError, OSError):
        return False
    return True


def address(docker_ip: str, services: Services, name: str, port: int) -> str:
    """Return the address of a service, once it answers."""
    found = f"{docker_ip}:{services.port_for(name, port)}"
    services.wait_until_responsive(check=lambda: answers(f"http://{found}/"), timeout=PATIENCE, pause=0.1)
    return found


@pytest.fixture(scope="session")
def registry(docker_ip: str, docker_services: Services) -> str:
    """Give the address of an OCI registry that answers."""
    return address(docker_ip, docker_services, "registry", 5000)


@pytest.fixture(scope="session")
def page(docker_ip: str, docker_services: Services) -> str:
    """Give the address of a web server whose image was built for the session; it answers."""
    return address(docker_ip, docker_services, "page", 80)


@pytest.fixture(scope="session")
def web(docker_ip: str, docker_services: Services) -> str:
    """Give the address of a web server that answers."""
    return address(docker_ip, docker_services, "web", 80)
