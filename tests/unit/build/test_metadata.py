"""The instructions that change only the config, and the flags of RUN."""

from __future__ import annotations

from typing import Any

import pytest

from tinybox.build import metadata, run_flags
from tinybox.build import state as states
from tinybox.build.containerfile import parse
from tinybox.errors import UsageError
from tinybox.images.registry.manifests import Platform

NOW = "2026-01-01T00:00:00Z"


def config(*lines: str, base: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return the config that the instructions make of the config *base*."""
    record = {"rootfs": {"type": "layers", "diff_ids": []}, "config": base or {}}
    state = states.of_base(record, NOW)
    state.arguments = {"arg": "ARG", "same": "ARG"}
    for instruction in parse("\n".join(lines).encode(), "F").instructions:
        metadata.apply(state, instruction, "\\")
    return state.config


def test_each_layer_of_the_base_has_an_entry_in_the_history() -> None:
    """Other programs want one for each layer; images of recipes and imports have none, or too few."""
    steps = [{"created_by": "RUN x", "created": NOW}, {"created_by": "CMD y", "created": NOW, "empty_layer": True}]
    record = {"rootfs": {"type": "layers", "diff_ids": ["sha256:a", "sha256:b"]}, "history": steps, "created": NOW}
    lower = {"created": NOW, "comment": states.NO_HISTORY}
    assert states.of_base(record, "2026-02-02T00:00:00Z").document["history"] == [lower, *steps]
    whole = {**record, "history": [{"created_by": "COPY z", "created": NOW}, *steps]}
    assert states.of_base(whole, NOW).document["history"] == whole["history"]


@pytest.mark.parametrize(
    ("lines", "key", "value"),
    [
        (["ENV a=1 b='2 3'", "ENV a=$b"], "Env", [states.PATH, "a=2 3", "b=2 3"]),
        (["ENV a=1 b=$a"], "Env", [states.PATH, "a=1", "b="]),
        (["ENV same=ENV", "ENV x=$arg y=$same"], "Env", [states.PATH, "same=ENV", "x=ARG", "y=ENV"]),
        (["ENV a  b  c"], "Env", [states.PATH, "a=b  c"]),
        (["LABEL a=1 b=$arg", "LABEL a=2"], "Labels", {"a": "2", "b": "ARG"}),
        (["USER $arg:7"], "User", "ARG:7"),
        (["EXPOSE 80 53/UDP 8000-8001"], "ExposedPorts", {"80/tcp": {}, "53/udp": {}, "8000/tcp": {}, "8001/tcp": {}}),
        (['VOLUME ["/a b"]', "VOLUME /c /$arg"], "Volumes", {"/a b": {}, "/c": {}, "/ARG": {}}),
        (["STOPSIGNAL SIGKILL"], "StopSignal", "SIGKILL"),
        (['SHELL ["/bin/ash", "-c"]', "CMD a $b"], "Cmd", ["/bin/ash", "-c", "a $b"]),
        (["CMD [ ]"], "Cmd", []),
        (["ONBUILD RUN  a", "ONBUILD COPY <<E /x", "1", "E"], "OnBuild", ["RUN  a", "COPY <<E /x\n1\nE"]),
        (["HEALTHCHECK NONE"], "Healthcheck", {"Test": ["NONE"]}),
        (
            ["HEALTHCHECK --interval=1m --timeout=2s --start-period=3s --start-interval=500ms --retries=4 CMD a b"],
            "Healthcheck",
            {
                "Test": ["CMD-SHELL", "a b"], "Interval": 60 * 10**9, "Timeout": 2 * 10**9, "StartPeriod": 3 * 10**9,
                "StartInterval": 5 * 10**8, "Retries": 4,
            },
        ),
    ],
)  # fmt: skip
def test_an_instruction_changes_the_config(lines: list[str], key: str, value: object) -> None:
    """The keys and values are those of docker's image config."""
    assert config(*lines)[key] == value


def test_entrypoint_drops_the_command_of_the_base_alone() -> None:
    """A command that this stage has set before stays."""
    assert "Cmd" not in config("ENTRYPOINT x", base={"Cmd": ["base"]})
    assert config("CMD own", "ENTRYPOINT x", base={"Cmd": ["base"]})["Cmd"] == ["/bin/sh", "-c", "own"]


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("ENV a", "it has no = between"),
        ("ENV a=1 b", "'b' is no NAME=VALUE"),
        ("ENV =1", "is no NAME=VALUE"),
        ("EXPOSE 0", "0 is no port"),
        ("EXPOSE 9-8", "9-8 is no port"),
        ("EXPOSE 70000", "70000 is no port"),
        ("VOLUME rel", "must be absolute"),
        ('VOLUME [""]', "is empty"),
        ("USER a b", "it takes one argument"),
        ("STOPSIGNAL NO", "is not a signal"),
        ("SHELL /bin/sh -c", "it needs the JSON form"),
        ("ONBUILD ONBUILD RUN x", "isn't allowed"),
        ("ONBUILD FROM x", "isn't allowed"),
        ("HEALTHCHECK CMD", "it is NONE, or CMD and a command"),
        ("HEALTHCHECK --retries=x CMD a", "--retries=x is no number"),
        ("HEALTHCHECK --interval=1us CMD a", "is no time of at least 1ms"),
        ("HEALTHCHECK --foo=1 CMD a", "unknown flag: --foo"),
        ("LABEL --foo a=b", "unknown flag: --foo"),
    ],
)
def test_errors(line: str, says: str) -> None:
    """Place, instruction and cause."""
    with pytest.raises(UsageError) as caught:
        config(line)
    assert str(caught.value).startswith(f"F:1: {line.split(maxsplit=1)[0]}: ")
    assert says in str(caught.value)


def test_the_history_has_every_instruction() -> None:
    """An instruction without a layer has the time of the layer before; a new layer brings its own."""
    state = states.empty(Platform("linux", "amd64"), NOW)
    [command] = parse(b"CMD a", "F").instructions
    metadata.apply(state, command, "\\")
    state.record("RUN x", "sha256:" + "0" * 64, "2027-01-01T00:00:00Z")
    metadata.apply(state, command, "\\")
    times = [(step["created"][:4], step.get("empty_layer", False)) for step in state.document["history"]]
    assert times == [("2026", True), ("2027", False), ("2027", True)]
    assert state.document["created"] == "2027-01-01T00:00:00Z"


def flags(line: str) -> run_flags.Flags:
    """Return the flags of one RUN."""
    [found] = parse(line.encode(), "F").instructions
    return run_flags.read(found, {"v": "x"}, "/work", "\\")


def test_flags_of_run() -> None:
    """Mounts with their defaults; targets begin at the working directory; variables are replaced."""
    found = flags("RUN --mount=target=$v --mount=type=secret,id=k --mount=type=cache,target=/c,ro --network=none a")
    assert [(each.kind, each.target, each.is_readonly) for each in found.mounts] == [
        ("bind", "/work/x", True), ("secret", "/run/secrets/k", False), ("cache", "/c", True),
    ]  # fmt: skip
    assert found.network == "none"
    assert flags("RUN --network=default --security=sandbox a").network == ""
    assert not flags("RUN --mount=target=/x,rw a").mounts[0].is_readonly


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("RUN --mount=type=ssh a", "type=ssh is not supported"),
        ("RUN --mount=type=bind a", "it has no target"),
        ("RUN --mount=type=tmpfs,target=/x,size=big a", "is not a size"),
        ("RUN --mount=type=cache,target=/x,sharing=some a", "sharing=some is unknown"),
        ("RUN --mount=type=cache,target=/x,from=y a", "from is no field of type=cache"),
        ("RUN --mount=type=secret a", "a secret needs an id"),
        ("RUN --network=bridge a", "--network=bridge is unknown"),
        ("RUN --security=insecure a", "is refused"),
        ("RUN --foo a", "unknown flag: --foo"),
    ],
)
def test_wrong_flags_of_run(line: str, says: str) -> None:
    """One line with the place."""
    with pytest.raises(UsageError) as caught:
        flags(line)
    assert str(caught.value).startswith("F:1: RUN: ")
    assert says in str(caught.value)
