"""`tinybox oci`: the verbs of an OCI runtime; the words behind it are not click's but those of tinybox-oci."""

from __future__ import annotations

import click


@click.command(
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False, "help_option_names": []}
)
@click.argument("words", nargs=-1, type=click.UNPROCESSED, metavar="[OPTION...] VERB [OPTION...] [ID] ...")
def oci(words: tuple[str, ...]) -> int:
    """Be an OCI runtime: create, start, state, kill, delete and the other verbs of tinybox-oci.

    It runs bundles, directories with a config.json and a root file system, and keeps what it knows of them below
    /run/tinybox-oci, apart from the containers of the other commands. `tinybox oci --help` lists the verbs,
    `tinybox oci VERB --help` the options of one.
    """
    from tinybox.oci import dispatch

    return dispatch(list(words))
