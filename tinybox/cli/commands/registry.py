"""`tinybox pull`, `push`, `login` and `logout`: images from registries and to them, in docker's words."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from tinybox.cli import completion
from tinybox.cli.formatting.options import quiet_option
from tinybox.container.records import host
from tinybox.container.records.paths import Paths
from tinybox.errors import ImageError, UsageError
from tinybox.images.recipes import recipe
from tinybox.images.reference import DOCKER, Reference, parse
from tinybox.images.store import NO_SUCH, Image, Store

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Decorator = Callable[[Any], Any]

HUB = f"https://index.{DOCKER}/v1/"  # docker's name for docker.io in its messages


def tls_option() -> Decorator:
    """Return podman's option --tls-verify, whose default is the rule of images/registry/hosts.py."""
    text = "false: also without encryption, or with any certificate. Loopback needs no encryption."
    return click.option("--tls-verify", type=bool, default=None, metavar="true|false", help=text)


def platform_option() -> Decorator:
    """Return the option --platform."""
    text = "The image for this platform, if the name has several; default: this machine."
    return click.option("--platform", default="", metavar="OS/ARCH[/VARIANT]", help=text)


def store() -> Store:
    """Return the image store of TINYBOX_ROOT, which --root sets."""
    return Store(Paths().root)


def say(line: str) -> None:
    """Print a line about progress on stderr; stdout belongs to the container's program."""
    print(f"tinybox: {line}", file=sys.stderr)


@click.command()
@click.argument("name", metavar="NAME[:TAG|@DIGEST]", shell_complete=completion.recipes)
@quiet_option("the image's name")
@platform_option()
@tls_option()
def pull(name: str, platform: str, *, quiet: bool, tls_verify: bool | None) -> None:
    """Pull an image from its registry, or make it from its recipe if there is one for the name NAME.

    A name without a host is one of docker.io; a name with a host, another tag or a digest never means a recipe.
    """
    host.read("").check()
    if recipe.find(name) is not None and not platform:
        say(f"{name} has a recipe; docker.io/{parse(name).repository} is the registry's image of this name")
        image = recipe.make(store(), name, (lambda _: None) if quiet else say)
        click.echo(f"{image.reference} sha256:{image.id[:12]}")
        return
    from_registry(name, platform, quiet=quiet, verify=tls_verify)
    print(full_name(parse(name)))


def full_name(reference: Reference) -> str:
    """Return the name of *reference* with its registry, as docker prints it after a pull."""
    return f"{reference.host}/{reference.repository}{str(reference).removeprefix(reference.name)}"


def from_registry(
    name: str, platform: str = "", *, quiet: bool = False, verify: bool | None = None, to_stderr: bool = False
) -> Image:
    """Pull the image *name*, and print docker's lines about it: on stdout, or *to_stderr* on the way to a container."""
    from contextlib import nullcontext, redirect_stdout

    from tinybox.cli.formatting.progress import progress
    from tinybox.images.registry import manifests
    from tinybox.images.registry.pull import pull as fetch

    reference = parse(name)
    wanted = manifests.platform(platform) if platform else manifests.this_platform()
    with redirect_stdout(sys.stderr) if to_stderr else nullcontext(), progress(quiet=quiet) as report:
        if not reference.digest and not name.endswith(f":{reference.tag}"):
            report.say(f"Using default tag: {reference.tag}")
        report.say(f"{reference.digest or reference.tag}: Pulling from {reference.repository}")
        found = fetch(store(), reference, wanted, report, verify=verify)
        report.say(f"Digest: {found.digest}")
        news = "Downloaded newer image for" if found.is_new else "Image is up to date for"
        report.say(f"Status: {news} {reference}")
    return found.image


@click.command()
@click.argument("name", metavar="NAME[:TAG]", shell_complete=completion.images)
@quiet_option("the image's name")
@tls_option()
def push(name: str, *, quiet: bool, tls_verify: bool | None) -> None:
    """Send an image to the registry that its name has; `tinybox tag` gives it such a name."""
    from tinybox.cli.formatting.progress import progress
    from tinybox.images.registry.push import push as send

    host.read("").check()
    reference = parse(name)
    store().image(name)
    with progress(quiet=quiet) as report:
        report.say(f"The push refers to repository [{reference.host}/{reference.repository}]")
        sent = send(store(), reference, report, verify=tls_verify)
        report.say(f"{reference.tag}: digest: {sent.digest} size: {sent.size}")
    if quiet:
        print(full_name(reference))


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


def make_missing(text: str) -> bool:
    """Bring the image *text*, by its recipe or from its registry, if it is not in the store; return if it was brought.

    Docker's line about it, and the progress, go to stderr: stdout belongs to the container's program.
    """
    try:
        store().image(text)
    except ImageError as error:
        if not error.cause.startswith(NO_SUCH):
            return False  # it is damaged, and the error says what to do
    else:
        return False
    host.read("").check()
    if recipe.find(text) is not None:
        say(f"image {parse(text)} is not here yet; making it from its recipe")
        recipe.make(store(), text, say)
        return True
    print(f"Unable to find image '{parse(text)}' locally", file=sys.stderr)
    from_registry(text, to_stderr=True)
    return True


def make_again(text: str) -> None:
    """Bring the image *text* even if the store has it: make it by its recipe, or ask its registry for a newer one."""
    host.read("").check()
    if recipe.find(text) is None:
        from_registry(text, to_stderr=True)
    else:
        recipe.make(store(), text, say, again=True)
