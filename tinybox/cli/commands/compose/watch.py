"""`tinybox compose watch`: changes of files are brought into the containers, as `develop.watch` in the file says."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import click

from tinybox.cli.commands.compose.project_options import SERVICES, command, parts
from tinybox.cli.late import Late
from tinybox.errors import ImageError, TinyboxError, UsageError, report
from tinybox.images.store import Store

if TYPE_CHECKING:
    from tinybox.cli import pulling
    from tinybox.cli.commands.compose import build as building
    from tinybox.cli.commands.compose.project_options import ProjectOptions
    from tinybox.compose import rehearsal, watching
    from tinybox.compose import up as startups
    from tinybox.compose.reading.service import Service
    from tinybox.images import removal
else:
    building = Late("tinybox.cli.commands.compose.build")
    pulling = Late("tinybox.cli.pulling")
    startups = Late("tinybox.compose.up")
    rehearsal = Late("tinybox.compose.rehearsal")
    watching = Late("tinybox.compose.watching")
    removal = Late("tinybox.images.removal")


@command()
@SERVICES
@click.option("--no-up", is_flag=True, help="Do not build and start the services first.")
@click.option("--prune", type=bool, default=True, metavar="BOOL", help="Remove the former image (default: true).")
@click.option("--quiet", is_flag=True, help="Print nothing about builds.")
@click.pass_obj
def watch(given: ProjectOptions, /, services: tuple[str, ...], *, no_up: bool, prune: bool, quiet: bool) -> None:
    """Bring the services up, and then changes of files into their containers, until Ctrl-C; the containers go on."""
    paths, here, project = parts(given)
    chosen = project.chosen(services, given.profiles)
    wanted = [service for service in chosen if service.watch and (not services or service.name in services)]
    if not wanted:
        raise UsageError("compose watch", "no service has the key develop", "develop: {watch: [...]}")
    quiet = quiet or given.is_quiet
    fetch = partial(pulling.bring, quiet=quiet)
    if given.is_dry:
        rehearsal.up(startups.Startup(paths, here, project, chosen, given.say))
        return
    if not no_up:
        building.build_missing(chosen, again=True, quiet=quiet)
        startups.Startup(paths, here, project, chosen, given.say).up(fetch)

    def rebuild(changed: list[Service]) -> None:
        """Build the images again, and bring the services up; an error is printed, and the watch goes on."""
        store = Store(paths.root)
        former = [store.image(service.image).id for service in changed]
        try:
            building.build_missing(changed, again=True, quiet=quiet)
            startups.Startup(paths, here, project, changed, given.say).up(fetch)
        except TinyboxError as error:
            report(str(error))
            return
        for image in former if prune else ():
            _remove_unnamed(store, image)

    rules = [watching.Rule(service, rule) for service in wanted for rule in service.watch]
    again = partial(startups.start_again, paths, here, project, say=given.say)
    watcher = watching.Watching(paths, project, rules, given.say, rebuild, again)
    given.say("Watch enabled")  # from now on, no change is missed
    watcher.forever()


def _remove_unnamed(store: Store, image: str) -> None:
    """Remove *image* if it has no name any more, and no container uses it."""
    if any(owner == image for _, owner in store.names()):
        return
    try:
        removal.remove(store, image)
    except ImageError:
        return
