"""tinybox.run(): a container in the foreground, from its making to its end, as one call of a function."""

from __future__ import annotations

from tinybox.api.requests import UsualUmask, options_of, with_image, words_of
from tinybox.container import launch, lifecycle
from tinybox.container.monitor.foreground import run_logged
from tinybox.container.process.program_streams import ProgramStreams
from tinybox.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tinybox.container.process.wait_loop import Ending


def run(
    image: object,
    *command: str,
    root: str = "",
    stdin: int | None = None,
    input: bytes | None = None,  # noqa: A002  as in subprocess.run
    capture_output: bool = False,
    **options: Any,
) -> Ending:
    """Run *command* in a new container of *image* and return how it ended; like docker-run(1), in the foreground.

    *options* are those of ``tinybox run``, with ``_`` in place of ``-``: ``memory="32m", volume=["/a:/b"], rm=True``.
    An option that may be given several times also takes a dict: ``env={"A": "1"}``. *image* is a name, or an Image; if
    the store does not have it, it is brought (``pull="never"``: an error).

    *stdin* is a file descriptor; without it the program reads the bytes *input*, or an empty input. With
    *capture_output* the result has what the program has written, in ``stdout`` and ``stderr``; else that goes to this
    process's own. Raises TinyboxError, with the exit status of the command as ``status``.
    """
    words, normalized = words_of(command), options_of(options)
    if capture_output and normalized.get("tty"):
        raise UsageError("option tty", "does not go with capture_output", "leave one of them out")
    passing = bool(normalized.get("rm"))

    def act() -> Ending:
        with ProgramStreams(stdin, input, captured=capture_output) as streams:
            carry_out = lifecycle.run if passing else run_logged
            with streams.handles(watched=passing) as handles:
                ending = launch.foreground(str(image), words, normalized, handles, root=root, carry_out=carry_out)
            return streams.keep(ending)

    with UsualUmask():
        return with_image(root, str(image), normalized, act)
