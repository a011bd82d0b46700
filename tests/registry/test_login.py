"""Private registries: passwords, tokens, and certificates of an own authority."""

from __future__ import annotations

import base64
import json
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.registry.test_pull_push import good
from tests.support.registries import DockerRegistry, registry_in_python, reply

if TYPE_CHECKING:
    from http.server import BaseHTTPRequestHandler

    from tests.conftest import Command

pytestmark = pytest.mark.root

# The password s3cret, by crypt(5) with bcrypt, the only method that the registry takes.
ANN = "ann:$2b$05$abcdefghijklmnopqrstuuLK7U1u6pVRmL7L1BBM2aS35PSZnDXlK"


def basic(text: str) -> str:
    """Return the header of a user and password."""
    return f"Basic {base64.b64encode(text.encode()).decode()}"


def private(handler: BaseHTTPRequestHandler) -> bool:
    """Answer 401 without the password of ann."""
    if handler.headers.get("Authorization") == basic("ann:s3cret"):
        return False
    reply(handler, 401, headers={"WWW-Authenticate": 'Basic realm="tests"'})
    return True


def test_login_pull_logout(empty_store: Command) -> None:
    """Without a login a private image is refused; `login` checks the password and keeps it; `logout` erases it."""
    with registry_in_python(private) as registry:
        name = f"{registry.host}/box"
        done = empty_store("pull", name)
        assert (done.returncode, f"tinybox login {registry.host}" in done.stderr) == (1, True)
        words = ("login", "-u", "ann", "--password-stdin", registry.host)
        done = empty_store(*words, text="wrong\n")
        assert (done.returncode, "refuses these credentials" in done.stderr) == (1, True)
        assert not Path(empty_store.environment["DOCKER_CONFIG"]).exists()
        assert good(empty_store, *words, text="s3cret\n") == "Login Succeeded\n"
        good(empty_store, "pull", name)
        assert good(empty_store, "logout", registry.host) == f"Removing login credentials for {registry.host}\n"
        good(empty_store, "rmi", name)
        assert empty_store("pull", name).returncode == 1


def test_a_token_server(empty_store: Command) -> None:
    """The password goes to the token server alone; the registry gets a token for the one repository."""

    def tokens(handler: BaseHTTPRequestHandler) -> bool:
        asked = parse_qs(urlsplit(handler.path).query)
        if handler.headers.get("Authorization") != basic("ann:s3cret") or asked.get("service") != ["tests"]:
            reply(handler, 401)
        else:
            scopes.append(asked.get("scope"))
            reply(handler, 200, json.dumps({"token": "t0ken"}).encode())
        return True

    def guarded(handler: BaseHTTPRequestHandler) -> bool:
        if handler.headers.get("Authorization") == "Bearer t0ken":
            return False
        header = f'Bearer realm="http://{server.host}/token",service="tests",scope="repository:box:pull"'
        reply(handler, 401, headers={"WWW-Authenticate": header})
        return True

    scopes: list[list[str] | None] = []
    with registry_in_python(tokens) as server, registry_in_python(guarded) as registry:
        assert empty_store("pull", f"{registry.host}/box").returncode == 1
        good(empty_store, "login", "-u", "ann", "--password-stdin", registry.host, text="s3cret")
        good(empty_store, "pull", f"{registry.host}/box")
        assert scopes == [["repository:box:pull"]] * 2
        assert not any(it.headers.get("Authorization", "").startswith("Basic") for it in registry.requests)


def test_no_secret_is_printed(empty_store: Command) -> None:
    """Neither the password nor the token is in any output, or in the arguments of a process of ours."""
    with registry_in_python(private) as registry:
        done = empty_store("login", "-u", "ann", "--password-stdin", registry.host, text="s3cret")
        pulled = empty_store("pull", f"{registry.host}/box")
        shown = done.stdout + done.stderr + pulled.stdout + pulled.stderr
        assert "s3cret" not in shown
        assert base64.b64encode(b"ann:s3cret").decode() not in shown


def test_docker_registry_with_htpasswd(empty_store: Command, tinybox: Command, tmp_path: Path) -> None:
    """Debian's registry with a password file: push and pull after `login`."""
    passwords = tmp_path / "htpasswd"
    passwords.write_text(ANN)
    settings = {"auth": {"htpasswd": {"realm": "tests", "path": str(passwords)}}}
    with DockerRegistry(tmp_path / "registry", settings) as registry:
        good(empty_store, "login", "-u", "ann", "--password-stdin", registry.host, text="s3cret")
        good(tinybox, "save", "-o", str(tmp_path / "box.tar"), "busybox")
        good(empty_store, "load", "-i", str(tmp_path / "box.tar"))
        good(empty_store, "tag", "busybox", f"{registry.host}/box")
        good(empty_store, "push", f"{registry.host}/box")
        good(empty_store, "rmi", f"{registry.host}/box")
        good(empty_store, "pull", f"{registry.host}/box")


def certificate(folder: Path) -> None:
    """Make an authority ca.crt, and a certificate server.crt with server.key for 127.0.0.1, by openssl(1)."""

    def openssl(*words: str) -> None:
        subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)

    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    openssl("req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.crt", "-subj", "/CN=tests", "-days", "2")
    openssl("req", *key, "-keyout", "server.key", "-out", "server.csr", "-subj", "/CN=127.0.0.1")
    (folder / "ext").write_text("subjectAltName=IP:127.0.0.1")
    openssl("x509", "-req", "-in", "server.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-out",
            "server.crt", "-days", "2", "-extfile", "ext")  # fmt: skip


def test_tls_with_an_own_authority(empty_store: Command, tinybox: Command, tmp_path: Path) -> None:
    """A certificate of an unknown authority is refused, unless certs.d has it or --tls-verify=false is given."""
    certificate(tmp_path)
    tls = {"http": {"tls": {"certificate": str(tmp_path / "server.crt"), "key": str(tmp_path / "server.key")}}}
    with DockerRegistry(tmp_path / "registry", tls) as registry:
        name = f"{registry.host}/box"
        good(tinybox, "tag", "busybox", name)
        try:
            done = tinybox("push", name)
            assert (done.returncode, "certificate is not trusted" in done.stderr) == (1, True), done.stderr
            good(tinybox, "push", "--tls-verify=false", name)
        finally:
            good(tinybox, "rmi", name)
        assert empty_store("pull", name).returncode == 1
        folder = Path(empty_store.environment["HOME"], ".config/containers/certs.d", registry.host)
        folder.mkdir(parents=True)
        (folder / "ca.crt").write_text((tmp_path / "ca.crt").read_text())
        good(empty_store, "pull", name)
