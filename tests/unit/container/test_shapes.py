"""The shapes of tinybox's own records: complete for the annotations, and each value of another type is named."""

from __future__ import annotations

import inspect
import re

import pytest

from tinybox.container.records import shapes, spec


def test_each_annotation_that_is_json_has_a_shape() -> None:
    """A new annotation that is JSON needs a line in shapes.ANNOTATIONS: otherwise a damaged one is a traceback."""
    written = set(re.findall(r'^[A-Z_]+ = "tinybox\.([a-z-]+)"  # JSON', inspect.getsource(spec), re.MULTILINE))
    assert written == set(shapes.ANNOTATIONS)


@pytest.mark.parametrize(
    ("key", "text", "says"),
    [
        (spec.PORTS, "", "tinybox.ports is not JSON"),
        (spec.PORTS, '[{"hostPort": 1}]', "tinybox.ports[0].hostIp is missing"),
        (spec.NETWORKS, '[{"name": "n", "mac": null}]', "tinybox.networks has a null"),
        (spec.NETWORKS, '[{"name": "n"}]', ""),
        (spec.STOP_TIMEOUT, "9" * 30, "tinybox.stop-timeout is no whole number"),
        (spec.STOP_TIMEOUT, "-1", ""),
        (spec.RESTART, "often", "tinybox.restart is no restart policy"),
        (spec.RESTART, "on-failure:5", ""),
        ("tinybox.label.ports", "[", ""),
        ("ports", "[", ""),
    ],
)
def test_a_wrong_annotation_is_named(key: str, text: str, says: str) -> None:
    """Each annotation of tinybox is checked; a label or a foreign annotation may have any text."""
    found = spec.misfit_of_annotations({key: text})
    assert found.startswith(says) if says else found == ""
