"""`tinybox pull` and `push`: images from registries and to them, in docker's words."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from tinybox.cli import completion
from tinybox.cli.commands.image.explained import NOTHING, ExplainedCommand, Explaining, explain_options, traced
from tinybox.cli.formatting.options import quiet_option
from tinybox.container.bringing import Bringer
from tinybox.container.records import host
from tinybox.container.records.paths import Paths
from tinybox.errors import ImageError, UsageError, printable
from tinybox.images.recipes import recipe
from tinybox.images.reference import Reference, parse
from tinybox.images.store import Image, Store

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from tinybox.images.registry.pull import Pulled

    Decorator = Callable[[Any], Any]


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


@click.command(cls=ExplainedCommand)
@click.argument("name", metavar="NAME[:TAG|@DIGEST]", shell_complete=completion.recipes)
@click.option("-a", "--all-tags", is_flag=True, help="Pull every tag that the registry has of NAME.")
@quiet_option("the image's name")
@platform_option()
@tls_option()
@explain_options("each request, its answer and each layer")
def pull(
    name: str, platform: str, form: str, output: str, *, all_tags: bool, quiet: bool, tls_verify: bool | None
) -> None:
    """Pull an image from its registry, or make it from its recipe if there is one for the name NAME.

    A name without a host is one of docker.io; a name with a host, another tag or a digest never means a recipe.
    """
    host.read("").check()
    explaining = Explaining(form, output)
    explaining.check()
    if all_tags and form:
        raise UsageError("--explain", "shows one image", "leave --all-tags out")
    if all_tags:
        _pull_all(_without_tag(name), platform, quiet=quiet, verify=tls_verify)
        return
    if recipe.find(name) is not None and not platform:
        if form:
            cause = f"shows a registry, and {name} is made by its recipe"
            raise UsageError("--explain", cause, f"docker.io/{parse(name).repository}")
        there = store()
        say(f"{name} has a recipe; docker.io/{parse(name).repository} is the registry's image of this name")
        image = recipe.make(there, name, (lambda _: None) if quiet else say)
        click.echo(f"{image.reference} sha256:{image.id[:12]}")
        return
    from_registry(name, platform, quiet=quiet, verify=tls_verify, explaining=explaining)
    print(full_name(parse(name)))


def _without_tag(name: str) -> Reference:
    """Return the reference *name*; UsageError, in docker's words: it has a tag or a digest."""
    reference = parse(name)
    if reference.digest or name.endswith(f":{reference.tag}"):
        raise UsageError("", "tag can't be used with --all-tags/-a")
    return reference


def _pull_all(reference: Reference, platform: str, *, quiet: bool, verify: bool | None) -> None:
    """Pull every tag of the repository of *reference*, and print docker's lines about them."""
    from tinybox.images.registry.pull import tags

    found = tags(reference, verify=verify)
    is_new = [_fetched(parse(f"{reference.name}:{tag}"), platform, quiet=quiet, verify=verify).is_new for tag in found]
    repository = f"{reference.host}/{reference.repository}"
    if not quiet:
        print(f"Status: {'Downloaded newer image' if any(is_new) else 'Image is up to date'} for {reference.name}")
    print(repository)


def full_name(reference: Reference) -> str:
    """Return the name of *reference* with its registry, as docker prints it after a pull."""
    return f"{reference.host}/{reference.repository}{str(reference).removeprefix(reference.name)}"


def from_registry(
    name: str,
    platform: str = "",
    *,
    quiet: bool = False,
    verify: bool | None = None,
    to_stderr: bool = False,
    explaining: Explaining = NOTHING,
) -> Image:
    """Pull the image *name*, and print docker's lines about it: on stdout, or *to_stderr* on the way to a container."""
    from contextlib import nullcontext, redirect_stdout

    reference = parse(name)
    with redirect_stdout(sys.stderr) if to_stderr else nullcontext():
        if not (quiet or to_stderr or reference.digest) and not name.endswith(f":{reference.tag}"):
            print(f"Using default tag: {reference.tag}")
        found = _fetched(reference, platform, quiet=quiet, verify=verify, explaining=explaining)
        if not quiet:
            news = "Downloaded newer image for" if found.is_new else "Image is up to date for"
            print(f"Status: {news} {reference}", flush=True)
    return found.image


def _fetched(
    reference: Reference, platform: str, *, quiet: bool, verify: bool | None, explaining: Explaining = NOTHING
) -> Pulled:
    """Pull the image *reference*; print the lines about it, and podman's warning if it is for another platform."""
    from tinybox.cli.formatting.progress import progress
    from tinybox.images.registry import manifests
    from tinybox.images.registry.pull import pull as fetch

    wanted = manifests.platform(platform) if platform else manifests.this_platform()
    beginning = f"{reference.digest or reference.tag}: Pulling from {reference.repository}"
    with progress(quiet=quiet, beginning=beginning) as report:
        with traced(explaining, "pull", reference, str(wanted), report) as trace:
            listen = trace.exchange if trace else lambda _: None
            found = fetch(store(), reference, wanted, trace or report, verify=verify, listen=listen)
            if trace:
                trace.stored(store(), found.image.id)
        report.say(f"Digest: {found.digest}")
    if not manifests.fits(found.image.platform, wanted):
        text = f"image platform ({found.image.platform}) does not match the expected platform ({wanted})"
        print(printable(f"WARNING: {text}"), file=sys.stderr)
    return found


@click.command(cls=ExplainedCommand)
@click.argument("name", metavar="NAME[:TAG]", shell_complete=completion.images)
@click.option("-a", "--all-tags", is_flag=True, help="Push every tag that the store has of NAME.")
@quiet_option("the image's name")
@tls_option()
@explain_options("each request, its answer and each layer")
def push(name: str, form: str, output: str, *, all_tags: bool, quiet: bool, tls_verify: bool | None) -> None:
    """Send an image to the registry that its name has; `tinybox tag` gives it such a name."""
    explaining = Explaining(form, output)
    explaining.check()
    host.read("").check()
    if all_tags and form:
        raise UsageError("--explain", "shows one image", "leave --all-tags out")
    if all_tags:
        references = _tags_here(_without_tag(name))
    else:
        references = [parse(name)]
        store().image(name)
    if not quiet:
        print(f"The push refers to repository [{references[0].host}/{references[0].repository}]", flush=True)
    for reference in references:
        _send(reference, quiet=quiet, verify=tls_verify, explaining=explaining)


def send(name: str) -> None:
    """Push the image *name* to its registry; the progress goes to stderr."""
    from contextlib import redirect_stdout

    with redirect_stdout(sys.stderr):
        _send(parse(name), quiet=False, verify=None)


def _send(reference: Reference, *, quiet: bool, verify: bool | None, explaining: Explaining = NOTHING) -> None:
    from tinybox.cli.formatting.progress import progress
    from tinybox.images.registry.push import push as send

    with progress(quiet=quiet) as report:
        with traced(explaining, "push", reference, "", report) as trace:
            listen = trace.exchange if trace else lambda _: None
            sent = send(store(), reference, trace or report, verify=verify, listen=listen)
        report.say(f"{reference.tag}: digest: {sent.digest} size: {sent.size}")
    if quiet:
        print(full_name(reference))


def _tags_here(wanted: Reference) -> list[Reference]:
    """Return the names with a tag that the store has of the repository of *wanted*; ImageError: there are none."""
    found = [parse(name) for name, _ in store().names() if "@" not in name]
    tags = [reference for reference in found if reference.name == wanted.name]
    if not tags:
        raise ImageError("", f"An image does not exist locally with the tag: {wanted.name}", "tinybox images")
    return tags


class Reporting(Bringer):
    """Brings images with docker's lines and the progress on stderr: stdout belongs to the container's program."""

    def __init__(self, *, quiet: bool = False) -> None:
        super().__init__(store())
        self.quiet = quiet

    def say(self, line: str) -> None:
        """Print *line* on stderr."""
        if not self.quiet:
            say(line)

    def not_here(self, name: str) -> None:
        """Print docker's line before the pull of an image that the store does not have."""
        if not self.quiet:
            print(f"Unable to find image '{parse(name)}' locally", file=sys.stderr)

    def fetch(self, name: str, platform: str = "") -> Image:
        """Pull the image with docker's lines."""
        return from_registry(name, platform, quiet=self.quiet, to_stderr=True)
