"""`tinybox compose config`: the file as compose reads it, in its canonical form, or one list of what it names."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from tinybox.cli.commands.compose.project_options import SERVICES, command
from tinybox.cli.formatting.options import print_lines
from tinybox.cli.formatting.table import Columns, Table
from tinybox.cli.late import Late
from tinybox.errors import ImageError, printable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tinybox.cli.commands.compose.project_options import ProjectOptions
    from tinybox.compose import canonical, members, resources, used_variables
    from tinybox.compose.project import Project
    from tinybox.compose.reading import document, relative_paths, service_reader
    from tinybox.compose.used_variables import Variable
    from tinybox.container.files import whole_file

    Tree = dict[str, Any]
else:
    members = Late("tinybox.compose.members")
    resources = Late("tinybox.compose.resources")
    canonical = Late("tinybox.compose.canonical")
    document = Late("tinybox.compose.reading.document")
    relative_paths = Late("tinybox.compose.reading.relative_paths")
    service_reader = Late("tinybox.compose.reading.service_reader")
    used_variables = Late("tinybox.compose.used_variables")
    whole_file = Late("tinybox.container.files.whole_file")

VARIABLES: Columns = {
    "Name": ("NAME", lambda variable: variable.name),
    "Required": ("REQUIRED", lambda variable: str(variable.is_required).lower()),
    "Default": ("DEFAULT VALUE", lambda variable: variable.default),
    "Alternate": ("ALTERNATE VALUE", lambda variable: variable.alternate),
}
LISTS: dict[str, Callable[[Project], list[str]]] = {
    "services": lambda project: [*project.services],
    "volumes": lambda project: [*project.volumes],
    "networks": lambda project: [resource.key for resource in project.used_networks(project.services.values())],
    "profiles": lambda project: sorted({name for each in project.services.values() for name in each.profiles}),
    "environment": lambda project: sorted(f"{name}={value}" for name, value in project.variables.items()),
    "models": lambda _: [],  # a file with models is an error
}


@command()
@SERVICES
@click.option("-q", "--quiet", is_flag=True, help="Only check the file.")
@click.option("--services", "only_services", is_flag=True, help="Print the names of the services.")
@click.option("--volumes", is_flag=True, help="Print the names of the volumes.")
@click.option("--networks", is_flag=True, help="Print the names of the networks.")
@click.option("--models", is_flag=True, help="Print the names of the models; tinybox runs none, so there are none.")
@click.option("--images", is_flag=True, help="Print the images of the services.")
@click.option("--profiles", is_flag=True, help="Print the names of the profiles.")
@click.option("--environment", is_flag=True, help="Print the variables that can be filled in.")
@click.option("--variables", is_flag=True, help="Print the variables that the file uses, and their defaults.")
@click.option("--hash", "hashed", metavar="SERVICE,...|*", help="Print a hash of all entries of these services.")
@click.option("--format", "style", type=click.Choice(["yaml", "json"]), help="yaml (default) or json.")
@click.option("-o", "--output", metavar="FILE", help="Write to FILE, not to stdout.")
@click.option("--no-interpolate", is_flag=True, help="Leave the variables as they are written.")
@click.option("--no-normalize", is_flag=True, help="Add nothing that is not in the file.")
@click.option("--no-path-resolution", is_flag=True, help="Leave relative paths as they are written.")
@click.option("--no-env-resolution", is_flag=True, help="Do not look up the variables of env_file.")
@click.option("--no-consistency", is_flag=True, help="Print the file also if up could not do what it says.")
@click.option("--resolve-image-digests", is_flag=True, help="Name images by their digests.")
@click.option("--lock-image-digests", is_flag=True, help="Print a file that overrides the images by their digests.")
@click.pass_obj
def config(given: ProjectOptions, /, services: tuple[str, ...], style: str | None, **options: Any) -> None:
    """Check the file and print it in its canonical form, with its variables filled in and all files merged."""
    lines = _lines(given, services, style, options)
    if lines is None:
        tree = _locked(given.project(), services) if options["lock_image_digests"] else _tree(given, services, options)
        lines = [_written(tree, style, escape=not options["no_interpolate"])]
    if options["quiet"]:
        return
    if options["output"]:
        with whole_file.appearing(options["output"]) as file:
            file.write("".join(f"{line}\n" for line in lines).encode("utf-8", "surrogateescape"))
        return
    print_lines(lines)


def _lines(
    given: ProjectOptions, services: tuple[str, ...], style: str | None, options: dict[str, Any]
) -> list[str] | None:
    """Return the lines of the list that was asked for, or None."""
    for key, names in LISTS.items():
        if options["only_services" if key == "services" else key]:
            return [printable(name) for name in names(given.project())]
    if options["hashed"]:
        return _hashes(given.project(), options["hashed"])
    if options["images"]:
        project = given.project()
        return [printable(each.image) for each in project.chosen(services, given.profiles)]
    if options["variables"]:
        return _shown(used_variables.used(given.written()[2]), style)
    return None


def _shown(variables: list[Variable], style: str | None) -> list[str]:
    if style is None:
        return Table(VARIABLES, "", " ".join(VARIABLES)).lines(variables)
    found = {each.name: {"Name": each.name, "DefaultValue": each.default, "PresenceValue": each.alternate,
                         "Required": each.is_required} for each in variables}  # fmt: skip
    return [_written(found, style, escape=True)]


def _hashes(project: Project, words: str) -> list[str]:
    names = sorted(project.services if words == "*" else words.split(","))
    found = [service_reader.by_name(project.services, name) for name in names]
    return [f"{printable(each.name)} {members.digest(each, each.image, resources.names(project, each))}"
            for each in found]  # fmt: skip


def _tree(given: ProjectOptions, services: tuple[str, ...], options: dict[str, Any]) -> Tree:
    """Return the canonical form of the file, or of *services* with those that they depend on."""
    no_variables: Mapping[str, str] = {}
    if options["no_interpolate"] or options["no_consistency"]:
        name, tree, _ = given.written(fill=not options["no_interpolate"])
        folder, variables, chosen = given.place(), no_variables, [*services]
    else:
        project = given.project()
        name, tree, folder, variables = project.name, project.tree, project.folder, project.variables
        chosen = [each.name for each in project.chosen(services, given.profiles)]
    plain: Tree = (tree if options["no_path_resolution"] else relative_paths.anchored(tree, folder)).plain()
    if chosen:
        plain = {**plain, "services": {key: each for key, each in plain["services"].items() if key in chosen}}
    form = canonical.Canonical(
        name,
        folder,
        variables,
        paths=not options["no_path_resolution"],
        defaults=not options["no_normalize"],
        env_files=not (options["no_env_resolution"] or options["no_interpolate"]),
    ).file(plain)
    if options["resolve_image_digests"]:
        for each in form["services"].values():
            if "image" in each and "build" not in each:
                each["image"] = _with_digest(each["image"])
    return form


def _locked(project: Project, services: tuple[str, ...]) -> Tree:
    """Return a file that names the image of each service by its digest."""
    found = [each for each in project.chosen(services, ()) if each.build is None]
    return {"services": {each.name: {"image": _with_digest(each.image)} for each in found}}


def _with_digest(image: str) -> str:
    """Return the name of *image* with the digest that it has in its registry; ImageError: the store has none."""
    from tinybox.cli.commands.image.registry import store
    from tinybox.images.reference import parse

    reference = parse(image)
    if reference.digest:
        return image
    found = store().image(image)
    known = {name.partition("@")[0]: name for name in store().digests().get(found.id, [])}
    if reference.name not in known:
        raise ImageError(f"image {image}", "has no digest: it did not come from a registry", f"tinybox pull {image}")
    return f"{reference.name}:{reference.tag}@{known[reference.name].partition('@')[2]}"


def _written(tree: Tree, style: str | None, *, escape: bool) -> str:
    """Return *tree* as JSON, or as YAML, with *escape* with each dollar doubled, so that it can be read again."""
    if style == "json":
        return json.dumps(tree, indent=2, default=str).replace("$", "$$" if escape else "$")
    return document.written(tree, escape=escape).removesuffix("\n")
