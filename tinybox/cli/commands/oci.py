"""`tinybox oci`: the command line of tinybox-oci; click passes all arguments on without reading them."""

from __future__ import annotations

import click


@click.command(
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False, "help_option_names": []}
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="[OPTION...] VERB [OPTION...] [ID] ...")
def oci(arguments: tuple[str, ...]) -> int:
    """Act as an OCI runtime: create, start, state, kill, delete and the other verbs of tinybox-oci.

    It runs bundles: directories with a config.json and a root file system. It keeps its records below
    /run/tinybox-oci, apart from the containers of the other commands. `tinybox oci --help` lists the verbs,
    `tinybox oci VERB --help` the options of one verb.
    """
    from tinybox.oci import dispatch

    return dispatch(list(arguments))
