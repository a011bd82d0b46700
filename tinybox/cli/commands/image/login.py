"""`tinybox login` and `logout`: the user's credentials for registries, in docker's config.json."""

from __future__ import annotations

import sys

import click

from tinybox.cli.commands.image.registry import tls_option
from tinybox.errors import UsageError
from tinybox.images.reference import DOCKER, parse

HUB = f"https://index.{DOCKER}/v1/"  # docker's name for docker.io in its messages


@click.command()
@click.argument("server", required=False, default=DOCKER)
@click.option("-u", "--username", default="", metavar="NAME", help="The user; without it, it is asked for.")
@click.option("-p", "--password", default="", metavar="WORD", help="The password; every user can see it in ps.")
@click.option("--password-stdin", is_flag=True, help="Read the password from stdin.")
@tls_option()
def login(server: str, username: str, password: str, *, password_stdin: bool, tls_verify: bool | None) -> None:
    """Check a user and password at the registry SERVER (docker.io), and keep them in docker's config.json."""
    from tinybox.images.registry import credentials, hosts
    from tinybox.images.registry.credentials import Credentials
    from tinybox.images.registry.repository import Repository

    name = _server(server)
    if password and password_stdin:
        raise UsageError("", "--password and --password-stdin are mutually exclusive")
    if password_stdin and not username:
        raise UsageError("", "Must provide --username with --password-stdin")
    if password:
        print("WARNING! Using --password via the CLI is insecure. Use --password-stdin.", file=sys.stderr)
    if password_stdin:
        password = sys.stdin.readline().rstrip("\r\n")
    elif not (username and password):
        username, password = _asked(name, username, password)
    if not username or not password:
        raise UsageError("login", "a user and a password are needed", "-u NAME --password-stdin")
    found = Credentials(username, password)
    Repository(hosts.places(name, "", verify=tls_verify)[-1], "pull", found).check()
    place = credentials.keep(name, found)
    if place:
        print(f"WARNING! Your password will be stored unencrypted in {place}.", file=sys.stderr)
    print("Login Succeeded")


def _server(text: str) -> str:
    """Return the host of a registry's name, which may be a URL; UsageError: it is none."""
    server = text.partition("://")[2] or text
    server = server.partition("/")[0]
    if server in {f"index.{DOCKER}", f"registry-1.{DOCKER}"}:
        return DOCKER
    parse(f"{server}/x" if server.partition(":")[0] == "localhost" or set(".:") & set(server) else f"{server}:443/x")
    return server


def _asked(server: str, username: str, password: str) -> tuple[str, str]:
    """Return what the user types; the password is not shown."""
    if not sys.stdin.isatty():
        raise UsageError("login", "cannot ask for a password: stdin is no terminal", "-u NAME --password-stdin")
    if not username:
        print(f"Log in to {server}\nUsername: ", end="", flush=True)
        username = sys.stdin.readline().strip()
    if username and not password:
        from getpass import getpass

        password = getpass()
    return username, password


@click.command()
@click.argument("server", required=False, default=DOCKER)
def logout(server: str) -> None:
    """Remove the credentials for the registry SERVER (docker.io) from docker's config.json."""
    from tinybox.images.registry import credentials

    name = _server(server)
    shown = HUB if name == DOCKER else name
    if credentials.erase(name):
        print(f"Removing login credentials for {shown}")
    else:
        print(f"Not logged in to {shown}")
