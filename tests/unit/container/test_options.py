"""The table of options: each row names existing fields, parsers and offers, and its value gets to that field."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tinybox.cli import completion
from tinybox.cli.commands import life
from tinybox.compose.reading import service_keys
from tinybox.container.config import configure, fields, option_values
from tinybox.container.config.options import OF_ONE_FIELD, OPTIONS, Option
from tinybox.container.records import spec
from tinybox.container.views import host_config
from tinybox.errors import UsageError

if TYPE_CHECKING:
    from tinybox.container.records.spec_types import Spec

KNOWN = {line.split()[0] for line in fields.TEXT.strip().splitlines()}
ANNOTATIONS = {value for name, value in vars(spec).items() if name.isupper() and isinstance(value, str)}


def faults(option: Option) -> list[str]:
    """Complain about fields, parsers and offers that *option* names and that do not exist."""
    annotation = option.field.partition("annotations.")[2]
    known = annotation in ANNOTATIONS if annotation else option.field in KNOWN
    complaints = {
        f"{option.field} is no field of config.json": bool(option.field) and not known,
        f"{option.parser} is no parser": bool(option.parser) and not hasattr(option_values, option.parser[0]),
        f"{option.offer} is no offer": bool(option.offer) and not hasattr(completion, option.offer),
        "a parser needs a field to fill": bool(option.parser) and not option.field,
        "HostConfig needs a field to show": bool(option.inspect[0]) and not option.field,
    }
    return [complaint for complaint, is_so in complaints.items() if is_so]


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.name)
def test_what_a_row_names_is_there(option: Option) -> None:
    """The field is one of the specification or an annotation of tinybox; parser and offer are functions."""
    assert faults(option) == []


@pytest.mark.parametrize(
    "words",
    [
        {"field": "linux.resources.memory.limits"},
        {"field": "annotations.tinybox.nosuch"},
        {"field": "process.oomScoreAdj", "parser": ("nosuch",)},
        {"parser": ("whole", 0, 1)},
        {"inspect": ("Memory", 0)},
        {"offer": "nosuch"},
    ],
)
def test_a_row_that_names_nothing_is_found(words: dict[str, Any]) -> None:
    """Control: an unknown field, annotation, parser or offer, and a parser or HostConfig without a field."""
    assert len(faults(Option("life", "x", "", "text", "X", "Help", **words))) == 1


def test_names_letters_and_keys_are_each_one_option_s() -> None:
    """No two rows share a name, a letter, a key of compose, or a field of HostConfig."""
    for words in (
        [option.name for option in OPTIONS],
        [option.short for option in OPTIONS if option.short],
        [option.compose for option in OPTIONS if option.compose],
        [option.inspect[0] for option in OPTIONS if option.inspect[0]],
    ):
        assert len(words) == len(set(words)) > 5
    assert {option.compose for option in OPTIONS if option.compose} <= service_keys.KEYS.keys()


def test_update_offers_what_the_table_says() -> None:
    """`update` has exactly the options with *update* in the table."""
    offered = {param.name for param in life.update.params if param.param_type_name == "option"}
    assert offered == {option.key for option in OPTIONS if option.update}
    assert {"memory", "restart"} <= offered
    assert "volume" not in offered


@pytest.mark.parametrize(
    ("options", "config"),
    [
        ({"oom_score_adj": "-5"}, {"process": {"oomScoreAdj": -5}}),
        ({"oom_score_adj": "0"}, {"process": {"oomScoreAdj": 0}}),
        ({"pids_limit": "0", "cpuset_cpus": "", "cpu_shares": ""}, {}),
        ({"pids_limit": "7"}, {"linux": {"resources": {"pids": {"limit": 7}}}}),
        ({"cpuset_cpus": "0", "cpu_shares": "2"}, {"linux": {"resources": {"cpu": {"cpus": "0", "shares": 2}}}}),
        ({"memory": "32m", "read_only": True}, {}),
    ],
)
def test_an_option_that_is_one_field_is_put_there(options: dict[str, Any], config: dict[str, Any]) -> None:
    """The parsed value is written; nothing for 0 or an empty text (no limit), or for options without a parser."""
    made: Spec = {}
    configure.put_fields(made, options)
    assert made == config


@pytest.mark.parametrize(("key", "text"), [("oom_score_adj", ""), ("pids_limit", "x"), ("cpuset_mems", "1-0")])
def test_a_value_that_means_nothing_is_named(key: str, text: str) -> None:
    """The error begins with the option and its value."""
    with pytest.raises(UsageError, match=f"^--{key.replace('_', '-')} {text}"):
        configure.put_fields({}, {key: text})


def test_inspect_shows_the_field() -> None:
    """HostConfig shows the parsed value, and docker's default without the option."""
    config: Spec = {"process": {"args": ["x"]}, "root": {"path": "rootfs"}}
    bare = host_config.as_dict(config)
    configure.put_fields(config, {"pids_limit": "7", "cpuset_cpus": "0", "oom_score_adj": "3"})
    shown = host_config.as_dict(config)
    assert (bare["PidsLimit"], bare["CpusetCpus"], bare["OomScoreAdj"]) == (None, "", 0)
    assert (shown["PidsLimit"], shown["CpusetCpus"], shown["OomScoreAdj"]) == (7, "0", 3)
    assert {option.inspect[0] for option in OF_ONE_FIELD if option.inspect[0]} <= shown.keys()
