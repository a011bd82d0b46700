"""Where a registry is: mirrors, plain HTTP and certificates, from the files of docker and podman."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tinybox.errors import ImageError, UsageError
from tinybox.images.registry import hosts


@pytest.fixture(autouse=True)
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let the files of this test stand for those of the host."""
    monkeypatch.setattr(hosts, "DOCKERS_FILE", str(tmp_path / "daemon.json"))
    monkeypatch.setattr(hosts, "PODMANS_FILE", str(tmp_path / "registries.conf"))
    monkeypatch.setattr(hosts, "PODMANS_FOLDER", str(tmp_path / "registries.conf.d"))
    monkeypatch.setattr(hosts, "CERTIFICATES", (str(tmp_path / "certs.d"),))
    return tmp_path


@pytest.mark.parametrize(
    ("host", "schemes"),
    [
        ("docker.io", ("https",)),
        ("registry.example:5000", ("https",)),
        ("localhost:5000", ("https", "http")),
        ("127.8.8.8:80", ("https", "http")),
        ("[::1]:5000", ("https", "http")),
        ("localhost.example", ("https",)),
        ("127.0.0.1.example", ("https",)),
        ("10.0.0.1", ("https",)),
    ],
)
def test_only_loopback_may_be_plain(host: str, schemes: tuple[str, ...]) -> None:
    """Without a word of the user, plain HTTP is tried for this machine alone; certificates are always checked."""
    [place] = hosts.places(host, "a/b")
    assert (place.schemes, place.verify, place.repository) == (schemes, True, "a/b")


def test_docker_io_has_another_host() -> None:
    """docker.io is served by registry-1.docker.io, and is called docker.io in messages."""
    [place] = hosts.places("docker.io", "library/alpine")
    assert (place.host, place.name) == ("registry-1.docker.io", "docker.io")


def test_the_user_may_allow_plain_http() -> None:
    """--tls-verify=false allows plain HTTP and any certificate."""
    [place] = hosts.places("registry.example", "a", verify=False)
    assert (place.schemes, place.verify) == (("https", "http"), False)


@pytest.mark.parametrize("entry", ["10.1.2.3:5000", "10.1.2.3", "10.0.0.0/8"])
def test_dockers_list_of_insecure_registries(files: Path, entry: str) -> None:
    """An insecure registry of docker's file is named by its host, with or without the port, or by its network."""
    (files / "daemon.json").write_text(json.dumps({"insecure-registries": [entry]}))
    assert hosts.places("10.1.2.3:5000", "a")[0].schemes == ("https", "http")
    assert hosts.places("11.1.2.3:5000", "a")[0].schemes == ("https",)


def test_dockers_mirrors_come_first_and_only_for_docker_io(files: Path) -> None:
    """The mirrors of docker's file are asked before docker.io, with the scheme of their addresses."""
    (files / "daemon.json").write_text(
        json.dumps({"registry-mirrors": ["http://127.0.0.1:5001/", "https://m.example"]})
    )
    found = hosts.places("docker.io", "library/alpine")
    assert [(it.host, it.is_mirror) for it in found] == [
        ("127.0.0.1:5001", True), ("m.example", True), ("registry-1.docker.io", False),
    ]  # fmt: skip
    assert found[0].schemes == ("http",)
    assert len(hosts.places("quay.example", "a")) == 1


def test_podmans_longest_prefix_counts(files: Path) -> None:
    """registries.conf moves a repository to another place; the entry with the longest prefix wins."""
    (files / "registries.conf").write_text(
        '[[registry]]\nprefix = "r.example"\nlocation = "wrong.example"\n'
        '[[registry]]\nprefix = "r.example/team"\nlocation = "new.example/moved"\ninsecure = true\n'
        '[[registry.mirror]]\nlocation = "mirror.example/m"\n'
    )
    mirror, place = hosts.places("r.example", "team/app")
    assert (mirror.host, mirror.repository, mirror.is_mirror, mirror.schemes) == (
        "mirror.example",
        "m/app",
        True,
        ("https",),
    )
    assert (place.host, place.repository, place.schemes) == ("new.example", "moved/app", ("https", "http"))
    assert hosts.places("r.example", "teams/app")[0].host == "wrong.example"


def test_a_blocked_registry_is_an_error(files: Path) -> None:
    """`blocked` in a later file of registries.conf.d holds."""
    folder = files / "registries.conf.d"
    folder.mkdir()
    (folder / "1.conf").write_text('[[registry]]\nlocation = "bad.example"\nblocked = true\n')
    with pytest.raises(ImageError, match="blocks it"):
        hosts.places("bad.example", "a")
    assert hosts.places("good.example", "a")


def test_certificates_of_a_host(files: Path) -> None:
    """Every .crt of the host's folder is an authority; a .cert with a .key of the same name is the client's."""
    folder = files / "certs.d" / "r.example:5000"
    folder.mkdir(parents=True)
    for name in ("ca.crt", "more.crt", "me.cert", "me.key", "lonely.cert"):
        (folder / name).touch()
    [place] = hosts.places("r.example:5000", "a")
    assert [Path(name).name for name in place.authorities] == ["ca.crt", "more.crt"]
    assert [Path(name).name for name in place.client] == ["me.cert", "me.key"]
    assert hosts.places("r.example", "a")[0].authorities == ()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("daemon.json", "{"),
        ("daemon.json", "[]"),
        ("daemon.json", '{"registry-mirrors": "x"}'),
        ("daemon.json", '{"insecure-registries": [1]}'),
        ("registries.conf", "[[registry"),
        ("registries.conf", '[[registry]]\nmirror = "x"'),
        ("registries.conf", "[[registry]]\nlocation = 5"),
    ],
)
def test_a_damaged_file_is_named(files: Path, name: str, text: str) -> None:
    """A file that is not of its form is an error that names it."""
    (files / name).write_text(text)
    with pytest.raises(UsageError, match=name):
        hosts.places("docker.io", "library/alpine")
