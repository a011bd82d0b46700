"""`tinybox build`: make an image by a Containerfile, in docker's words."""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import click

from tinybox.cli import completion
from tinybox.cli.commands.image import build_results
from tinybox.cli.commands.image.explained import BUILD, NOTHING, ExplainedCommand, Explaining, explain_options, showing
from tinybox.cli.commands.image.ignored import ignored_options
from tinybox.cli.commands.image.registry import Reporting, platform_option, store
from tinybox.container.records import host
from tinybox.errors import UsageError, printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from io import BufferedReader
    from typing import Any

    from tinybox.build.asking import Asked
    from tinybox.build.building import Report, Wish

PROGRESS = ("auto", "plain", "tty", "quiet")


@click.command(cls=ExplainedCommand)
@click.argument("context", metavar="CONTEXT|-", shell_complete=completion.files)
@click.option("-t", "--tag", "names", multiple=True, metavar="NAME[:TAG]", help="A name for the image.")
@click.option("-f", "--file", "file", default="", metavar="FILE|-", shell_complete=completion.files,
              help="The Containerfile (default: CONTEXT/Containerfile, or CONTEXT/Dockerfile).")  # fmt: skip
@click.option("--build-arg", "arguments", multiple=True, metavar="NAME[=VALUE]",
              help="A value for an ARG; without one, the variable of this shell.")  # fmt: skip
@click.option("--target", default="", metavar="STAGE", help="Build this stage, by name or number (default: the last).")
@click.option("--label", "labels", multiple=True, metavar="KEY[=VALUE]", help="A label for the image.")
@click.option("--no-cache", is_flag=True, help="Carry out every instruction again.")
@click.option("--pull", is_flag=True, help="Make or fetch the base images again, even if they are here.")
@click.option("--network", default="", metavar="MODE", help="The network of RUN: default, none, host, or a name.")
@click.option("--secret", "secrets", multiple=True, metavar="id=NAME[,src=FILE|,env=NAME]",
              help="A file or a variable for RUN --mount=type=secret.")  # fmt: skip
@click.option("--add-host", multiple=True, metavar="NAME:ADDRESS", help="A line in the /etc/hosts of RUN.")
@click.option("--shm-size", default="", metavar="SIZE", help="The size of /dev/shm of RUN.")
@click.option("--ulimit", multiple=True, metavar="TYPE=SOFT[:HARD]", help="A limit of each process of RUN.")
@click.option("--cgroup-parent", default="", metavar="PATH", help="The control groups of RUN are below this one.")
@click.option("--build-context", "contexts", multiple=True, metavar="NAME=DIR|docker-image://IMAGE",
              help="What NAME means in FROM and --from.")  # fmt: skip
@click.option("--cache-from", "caches", multiple=True, metavar="IMAGE",
              help="Without effect: the cache is in the store.")  # fmt: skip
@platform_option()
@click.option("--iidfile", default="", metavar="FILE", shell_complete=completion.files,
              help="Write the image's id to FILE.")  # fmt: skip
@click.option("-q", "--quiet", is_flag=True, help="Print only the image's id.")
@click.option("--progress", default="auto", metavar="FORM", help="auto or plain.")
@click.option("--keep-failed", is_flag=True, help="Keep the container of a RUN that failed.")
@build_results.result_options
@ignored_options
@explain_options("each instruction, and the layer that it makes")
def build(context: str, quiet: bool, progress: str, iidfile: str, pull: bool, **options: Any) -> None:
    """Build an image by the Containerfile of the directory CONTEXT, or of a tar archive from stdin (-).

    With - the stdin may also be a Containerfile alone. The progress goes to stderr.
    """
    from tinybox.build import asking, named_contexts, run_options

    host.read("").check()
    if progress not in PROGRESS:
        raise UsageError(f"--progress {progress}", "is unknown", "auto or plain")
    explaining = Explaining(options["form"], options["output"])
    explaining.check()
    build_results.check(options)
    asked = asking.Asked(
        options["file"],
        options["names"],
        given(options["arguments"]),
        options["target"],
        dict(label.partition("=")[::2] for label in options["labels"]),
        options["platform"],
        dict(map(asking.secret, options["secrets"])),
        "" if options["network"] == "default" else options["network"],
        options["no_cache"],
        options["keep_failed"],
        pull,
        run_options.checked(options),
        named_contexts.parsed(options["contexts"]),
    )
    warn_of_caches(options["caches"])
    quiet = quiet or progress == "quiet"
    image_id = started(context, asked, quiet=quiet, plain=progress == "plain", explaining=explaining)
    if iidfile:
        from tinybox.linux.filesystem import files

        files.replace(iidfile, f"sha256:{image_id}".encode(), 0o644)
    build_results.finish(image_id, options)
    if quiet:
        click.echo(f"sha256:{image_id}")


def warn_of_caches(images: Iterable[str]) -> None:
    """Print a line if there is a --cache-from; docker ignores an image without a cache in it, too."""
    for image in images:
        text = f"--cache-from {image}: has no effect: the build cache is in the store, not in images"
        print(printable(f"tinybox: {text}"), file=sys.stderr)


def started(
    context: str,
    asked: Asked,
    *,
    quiet: bool = False,
    plain: bool = False,
    inline: str = "",
    explaining: Explaining = NOTHING,
) -> str:
    """Build the image that *asked* describes, from the directory *context* or "-", and return its id.

    *inline* is the content of the Containerfile, if it is no file.
    """
    from tinybox.build import asking, bases, building, opening
    from tinybox.cli.formatting.build_progress import Plain

    is_told = quiet or (explaining.form == "text" and not explaining.output)  # the text has the progress, too
    report: Report = building.Report() if is_told else Plain(dims=not plain and sys.stderr.isatty())
    with ExitStack() as stack:
        stdin: BufferedReader = sys.stdin.buffer  # type: ignore[assignment]
        wish = asking.wish(stack, store(), context, asked, stdin, inline)
        with _traced(explaining, wish, report) as (told, made):
            bring = bases.bringing(Reporting(), pulls=asked.pull)
            image_id = building.build(store(), wish, bring, told, opening.epoch(asked.arguments))
            made(image_id)
    if not quiet:
        for line in [f"writing image sha256:{image_id}", *(f"naming to {name}" for name in wish.names)]:
            print(line, file=sys.stderr)
    return image_id


@contextmanager
def _traced(explaining: Explaining, wish: Wish, report: Report) -> Iterator[tuple[Report, Callable[[str], None]]]:
    """Yield the report of the build, with the trace if that is asked for, and a function to tell it the image's id."""
    with showing(explaining, BUILD) as show:
        if show is None:
            yield report, lambda _: None
            return
        from tinybox.seeing.build_trace import BuildTrace

        with BuildTrace(store(), wish, report, show) as trace:
            yield trace, lambda image_id: trace.image(store(), image_id, wish.names)


def given(words: Iterable[str]) -> dict[str, str]:
    """Return the values of --build-arg: a name without a value has that of the caller's environment, if it is set."""
    found = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not name:
            raise UsageError(f"--build-arg {word!r}", "names no variable", "NAME[=VALUE]")
        if equals or name in os.environ:
            found[name] = value if equals else os.environ[name]
    return found
