"""A damaged record of `tinybox-oci`: each verb names it, `list` lists the others, `delete --force` removes it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.hostile import corpus
from tests.hostile.conftest import SOAK
from tests.oci.conftest import runtime

if TYPE_CHECKING:
    from tests.support.oci_runtimes import Runtime

__all__ = ["runtime"]
pytestmark = pytest.mark.root

DAMAGES: dict[str, object] = {**corpus.DAMAGED_TEXTS, **corpus.DAMAGED_FILES}


def test_a_damaged_record_is_named(runtime: Runtime) -> None:
    """No verb hangs or ends in a traceback, and a container beside it is listed."""
    assert runtime.create("other").returncode == 0
    assert runtime.create("box").returncode == 0
    pid = runtime.state("box")["pid"]
    path = runtime.root / "box" / "state.json"
    for kind in DAMAGES if SOAK else ("empty", "another type", "a fifo"):
        with corpus.damaged(str(path), DAMAGES[kind]):  # type: ignore[arg-type]
            for words in (["state", "box"], ["kill", "box"], ["start", "box"], ["delete", "box"], ["ps", "box"]):
                done = runtime(*words)
                assert done.returncode, (kind, done)
                assert done.stderr.startswith("tinybox-oci: container box: its state.json is damaged: "), (kind, done)
                assert done.stderr.count("\n") == 1
            done = runtime("list", "-q")
            assert (done.returncode, done.stdout) == (0, "other\n"), done
    assert runtime.state("box")["pid"] == pid  # the control: with its file it is there again
    path.write_text("{")
    assert runtime("delete", "--force", "box").returncode == 0
    assert not path.parent.exists()
    assert json.loads(runtime("list", "-f", "json").stdout)[0]["id"] == "other"
