"""Real services in boxes: a registry keeps an image of skopeo, a web server answers; then both are removed."""

from __future__ import annotations

import json
import shutil
import subprocess
import urllib.error
from typing import TYPE_CHECKING, Any

import pytest

from tests.conftest import Command
from tests.services.conftest import answers, fetched
from tests.support.boxes import new_name, output, until
from tests.support.compose_projects import project
from tests.support.slowness import SLOWNESS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pytest_docker.plugin import Services

pytestmark = [pytest.mark.root, pytest.mark.slow]


def skopeo(*words: str) -> str:
    """Run skopeo, which must succeed, and return what it prints."""
    done = subprocess.run(
        ["skopeo", "--insecure-policy", *words], capture_output=True, text=True, check=False, timeout=300 * SLOWNESS
    )
    assert done.returncode == 0, done
    return done.stdout


@pytest.fixture
def elsewhere(tinybox: Command) -> Iterator[Command]:
    """Give the command with an empty store beside the session's."""
    root = f"{tinybox.root}-elsewhere"
    yield Command(root)
    shutil.rmtree(root, ignore_errors=True)


@pytest.fixture
def image(tinybox: Command) -> Iterator[str]:
    """Make an image with a layer that is not in any registry."""
    name = new_name()
    assert (
        tinybox("run", "--name", name, "busybox", "sh", "-c", "head -c 1m /dev/urandom > /root/random").returncode == 0
    )
    assert tinybox("commit", name, f"{name}:1").returncode == 0
    assert tinybox("rm", name).returncode == 0
    yield f"{name}:1"
    assert tinybox("rmi", f"{name}:1").returncode == 0


@pytest.mark.skipif(not shutil.which("skopeo"), reason="skopeo is not installed")
def test_a_pushed_image_is_read_back_equal(
    tinybox: Command, elsewhere: Command, registry: str, image: str, tmp_path: Path
) -> None:
    """Pushed by skopeo over the published port, read back: the same digests, and in another store the same files."""
    there = f"docker://{registry}/lecture/{image}"
    with pytest.raises(urllib.error.HTTPError):  # the control: before, the registry lacks that image
        fetched(f"http://{registry}/v2/lecture/{image.partition(':')[0]}/tags/list")
    assert tinybox("save", "-o", str(tmp_path / "out.tar"), image).returncode == 0
    pushed = tmp_path / "digest"
    skopeo("copy", "--dest-tls-verify=false", "--digestfile", str(pushed), f"oci-archive:{tmp_path}/out.tar", there)
    kept: dict[str, Any] = json.loads(skopeo("inspect", "--tls-verify=false", there))
    assert kept["Digest"] == pushed.read_text().strip()
    skopeo("copy", "--src-tls-verify=false", there, f"oci-archive:{tmp_path}/back.tar:{image}")
    ids = [skopeo("inspect", "--config", f"oci-archive:{tmp_path}/{name}.tar") for name in ("out", "back")]
    assert ids[0] == ids[1]
    assert elsewhere("load", "-i", str(tmp_path / "back.tar")).stdout == f"Loaded image: {image}\n"
    look = ("sh", "-c", "find / -xdev -type f ! -path '/etc/host*' ! -path /etc/resolv.conf | sort | xargs sha256sum")
    assert output(elsewhere, image, *look) == output(tinybox, image, *look)


def test_the_web_server_answers_over_its_published_port(web: str) -> None:
    """The page of Debian's nginx comes from a box whose root is read-only."""
    assert b"Welcome to nginx" in fetched(f"http://{web}/")


def test_a_service_is_built(page: str) -> None:
    """pytest-docker calls `up --build`, which makes the image of a service with `build`, with its argument."""
    assert fetched(f"http://{page}/") == b"built with pytest-docker\n"


def test_services_find_each_other_by_name(
    tinybox: Command, docker_services: Services, docker_compose_project_name: str, registry: str, web: str
) -> None:
    """In the project's network a name is enough, and an alias; a box outside of it does not find them."""
    network = f"{docker_compose_project_name}_default"
    for url in ("http://web/", "http://www/", "http://registry:5000/v2/"):
        output(tinybox, "--network", network, "busybox", "wget", "-q", "-O", "-", url)
    stranger = tinybox("run", "--rm", "--network", "none", "busybox", "wget", "-q", "-O", "-", "http://web/")
    assert stranger.returncode == 1


def test_a_port_answers_while_the_service_is_up_and_no_longer(tinybox: Command, web: str, tmp_path: Path) -> None:
    """`port` prints the address as docker compose does; after `down` nothing answers, and the network is gone."""
    text = 'services: {page: {image: nginx, ports: ["127.0.0.1::80", "127.0.0.1::81/udp"]}}\n'
    with project(tinybox, tmp_path, text) as shop:
        shop.up("--wait")
        where = shop("port", "page", "80").stdout.strip()
        assert where.startswith("127.0.0.1:")
        assert shop("port", "--protocol", "udp", "page", "81").stdout.startswith("127.0.0.1:")
        assert shop("port", "page", "82").returncode == 1
        (row,) = shop.rows()
        publisher = {
            "URL": "127.0.0.1",
            "TargetPort": 80,
            "PublishedPort": int(where.partition(":")[2]),
            "Protocol": "tcp",
        }
        assert publisher in row["Publishers"]
        until(lambda: answers(f"http://{where}/"))
        assert "shop_default" in tinybox("network", "ls", "--format", "{{.Name}}").stdout.split()
        shop.down()
        assert not answers(f"http://{where}/")
        assert "shop_default" not in tinybox("network", "ls", "--format", "{{.Name}}").stdout.split()
