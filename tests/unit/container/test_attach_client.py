"""The client of an attach whose terminal is gone: it ends as by SIGHUP, and not with an error of write(2)."""

from __future__ import annotations

import subprocess
import sys

import pytest

CODE = """
import os, sys
from tinybox.container.monitor import attach, attach_protocol

line, monitor = attach_protocol.pair()
reader, writer = os.openpty() if sys.argv[1] == "terminal" else os.pipe()
os.dup2(writer, 1)
session = attach.AttachSession(None, "", line, terminal_inside=False, keys="")
os.close(reader)
monitor.send(attach_protocol.OUT + b"output")
try:
    session.hear()
    print("cut" if session.is_cut else "shown", file=sys.stderr)
except OSError as error:
    print(type(error).__name__, file=sys.stderr)
"""


@pytest.mark.parametrize(("stream", "end"), [("terminal", "cut"), ("pipe", "BrokenPipeError")])
def test_output_for_a_terminal_that_is_gone(stream: str, end: str) -> None:
    """EIO of a terminal that was closed is noted; the control: a pipe without a reader is still an error."""
    done = subprocess.run([sys.executable, "-c", CODE, stream], capture_output=True, text=True, check=True, timeout=60)
    assert done.stderr.split() == [end]
