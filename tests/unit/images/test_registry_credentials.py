"""Credentials for registries: found in the files and helpers of docker and podman, kept with mode 0600, and erased."""

from __future__ import annotations

import base64
import json
import stat
from pathlib import Path

import pytest

from tinybox.errors import HostError, UsageError
from tinybox.images.registry import credentials
from tinybox.images.registry.credentials import Credentials

HELPER = """#!/bin/sh
read line
case "$1 $line" in
  "get helped.example") echo '{"ServerURL":"helped.example","Username":"ann","Secret":"s3"}';;
  "get token.example") echo '{"ServerURL":"token.example","Username":"<token>","Secret":"t0"}';;
  "get broken.example") echo 'no'; exit 1;;
  get*) echo 'credentials not found in native keychain'; exit 1;;
  store*) echo "$line" > "$0.stored";;
  erase*) echo "$line" > "$0.erased";;
esac
"""


def packed(text: str) -> str:
    """Return *text* as `auth` has it."""
    return base64.b64encode(text.encode()).decode()


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let the files of this test be those of the user, with the helper program `test`."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    monkeypatch.delenv("REGISTRY_AUTH_FILE", raising=False)
    (tmp_path / "docker").mkdir()
    program = tmp_path / "docker-credential-test"
    program.write_text(HELPER)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return tmp_path


def write(folder: Path, document: object) -> Path:
    """Write docker's config.json."""
    path = folder / "docker" / "config.json"
    path.write_text(json.dumps(document))
    return path


@pytest.mark.parametrize(
    ("key", "host"),
    [
        ("r.example:5000", "r.example:5000"),
        ("https://r.example", "r.example"),
        ("https://r.example/v2/", "r.example"),
        ("https://index.docker.io/v1/", "docker.io"),
        ("docker.io", "docker.io"),
    ],
)
def test_dockers_file_is_read(folder: Path, key: str, host: str) -> None:
    """The keys of `auths` are hosts or addresses; docker.io has docker's old one."""
    write(folder, {"auths": {"other.example": {"auth": packed("no:no")}, key: {"auth": packed("ann:s:3")}}})
    assert credentials.find(host, "a/b") == Credentials("ann", "s:3")
    assert credentials.find("r.example:99") is None


def test_podmans_file_has_parts_of_a_registry(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The longest key that is the repository or above it counts."""
    path = folder / "auth.json"
    auths = {"r.example": "all", "r.example/team": "team", "r.example/team/app": "app", "r.example/tea": "no"}
    path.write_text(json.dumps({"auths": {key: {"auth": packed(f"{user}:x")} for key, user in auths.items()}}))
    monkeypatch.setenv("REGISTRY_AUTH_FILE", str(path))
    found = [credentials.find("r.example", name) for name in ("team/app", "team/other", "else")]
    assert [it.user for it in found if it] == ["app", "team", "all"]


def test_a_helper_program_is_asked(folder: Path) -> None:
    """`credHelpers` names the program for one host, `credsStore` that for all others."""
    write(folder, {"credHelpers": {"helped.example": "test"}})
    assert credentials.find("helped.example") == Credentials("ann", "s3")
    write(folder, {"credsStore": "test", "auths": {"token.example": {}, "plain.example": {"auth": packed("u:p")}}})
    assert credentials.find("token.example") == Credentials("", "", "t0")
    assert credentials.find("plain.example") == Credentials("u", "p")
    assert credentials.find("unknown.example") is None
    with pytest.raises(HostError, match="docker-credential-test: get failed: no"):
        credentials.find("broken.example")


def test_a_missing_helper_is_named(folder: Path) -> None:
    """A helper that is not installed is an error, and one with a path is refused."""
    write(folder, {"credsStore": "nosuch"})
    with pytest.raises(HostError, match="docker-credential-nosuch"):
        credentials.find("r.example")
    write(folder, {"credsStore": "../evil"})
    with pytest.raises(UsageError, match="evil"):
        credentials.find("r.example")


def test_login_keeps_the_rest_of_the_file(folder: Path) -> None:
    """`keep` adds an entry; other keys stay; only the user may read the file."""
    path = write(folder, {"auths": {"a.example": {"auth": packed("a:b")}}, "detachKeys": "ctrl-e"})
    path.chmod(0o644)
    assert credentials.keep("b.example", Credentials("u", "p")) == str(path)
    assert credentials.find("b.example") == Credentials("u", "p")
    assert credentials.find("a.example") == Credentials("a", "b")
    assert json.loads(path.read_text())["detachKeys"] == "ctrl-e"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert credentials.erase("b.example")
    assert not credentials.erase("b.example")
    assert credentials.find("b.example") is None
    assert credentials.find("a.example") == Credentials("a", "b")


def test_login_makes_the_file(folder: Path) -> None:
    """Without a file, `keep` makes one, and the folder above it."""
    (folder / "docker").rmdir()
    credentials.keep("docker.io", Credentials("u", "p"))
    assert list(json.loads((folder / "docker/config.json").read_text())["auths"]) == ["https://index.docker.io/v1/"]
    assert credentials.find("docker.io") == Credentials("u", "p")


def test_with_a_helper_no_password_is_in_the_file(folder: Path) -> None:
    """The secret goes to the helper's stdin, and nowhere else."""
    path = write(folder, {"credsStore": "test"})
    assert credentials.keep("new.example", Credentials("ann", "s3cret")) == ""
    stored = json.loads((folder / "docker-credential-test.stored").read_text())
    assert stored == {"ServerURL": "new.example", "Username": "ann", "Secret": "s3cret"}
    assert "s3cret" not in path.read_text()


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        '{"auths": []}',
        '{"auths": {"r.example": 5}}',
        '{"credsStore": {}}',
        '{"auths": {"r.example": {"auth": "%%"}}}',
    ],
)
def test_a_damaged_file_is_an_error(folder: Path, text: str) -> None:
    """A file that is not of docker's form is one line, not a traceback."""
    (folder / "docker" / "config.json").write_text(text)
    with pytest.raises(UsageError):
        credentials.find("r.example")
