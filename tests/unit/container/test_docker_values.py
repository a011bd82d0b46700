"""The values of -v, --mount and --security-opt: docker's words, and docker's sentences for what it refuses."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tinybox.container.config import security_option
from tinybox.container.config.volumes import asked_mounts, mount_option
from tinybox.errors import UsageError
from tinybox.isolation import labels
from tinybox.isolation.mount_options import Options

if TYPE_CHECKING:
    from pathlib import Path

REFUSED = {  # --mount: the sentences of docker 28.2.2's client
    "type=bind,bogus,dst=/x": "invalid field 'bogus' must be a key=value pair",
    "bogus=1,dst=/x": "unexpected key 'bogus' in 'bogus=1'",
    "type=bind,src=/tmp": "target is required",
    "type=bind,dst=/x,volume-nocopy": "cannot mix 'volume-*' options with mount type 'bind'",
    "type=tmpfs,dst=/x,bind-nonrecursive": "cannot mix 'bind-*' options with mount type 'tmpfs'",
    "type=volume,dst=/x,tmpfs-size=1": "cannot mix 'tmpfs-*' options with mount type 'volume'",
    "type=bind,src=/tmp,dst=/x,bind-recursive=foo": "invalid value for bind-recursive: foo",
    "type=bind,src=/tmp,dst=/x,bind-recursive=writable": "'bind-recursive=writable' requires 'readonly'",
    "type=bind,src=/tmp,dst=/x,ro,bind-recursive=readonly": "requires 'bind-propagation=rprivate'",
    "type=bind,src=/tmp,dst=/x,bind-propagation=up": "invalid propagation mode: up",
    "type=volume,dst=/x,readonly=foo": "invalid value for readonly: foo",
    "type=tmpfs,dst=/x,tmpfs-mode=9": "invalid value for tmpfs-mode: 9",
    "type=tmpfs,dst=/x,src=/tmp": "field Source must not be specified",
    "type=image,dst=/x": "field Source must not be empty",
    "type=nfs,dst=/x": "mount type unknown: nfs",
    "type=volume,src=v,dst=x": "mount path must be absolute",
    "type=volume,dst=/x,volume-subpath=a": "must not set Subpath when using anonymous volumes",
    "type=volume,src=v,dst=/x,volume-subpath=../a": "subpath must be a relative path within the volume",
    "type=volume,src=v,dst=/x,volume-driver=foo": 'plugin "foo" not found',
    'type=volume,src=v,dst=/x,"volume-opt=o=a': "unexpected end of data",
}


@pytest.mark.parametrize("text", REFUSED)
def test_a_mount_is_refused_in_dockers_words(text: str) -> None:
    """One line names the option and docker's cause."""
    with pytest.raises(UsageError) as error:
        mount_option.mount(text)
    assert REFUSED[text] in error.value.cause
    assert text in error.value.thing


def test_a_missing_source_is_refused_by_mount_only(tmp_path: Path) -> None:
    """--mount has docker's sentence; -v takes the path, because the start makes a directory there."""
    missing = tmp_path / "missing"
    with pytest.raises(UsageError, match=f'type "bind": bind source path does not exist: {missing}'):
        mount_option.mount(f"type=bind,src={missing},dst=/x")
    assert mount_option.volume(f"{missing}:/x")["source"] == str(missing)


@pytest.mark.parametrize(
    ("words", "options"),
    [
        ("", ["rbind", "rprivate"]),
        (",consistency=cached,bind-recursive=enabled", ["rbind", "rprivate"]),
        (",bind-recursive=disabled", ["bind", "rprivate"]),
        (",bind-nonrecursive", ["bind", "rprivate"]),
        (",bind-nonrecursive=false", ["rbind", "rprivate"]),
        (",ro,bind-recursive=writable", ["rbind", "rprivate", "ro", "only-top"]),
        (",ro,bind-recursive=readonly,bind-propagation=rprivate", ["rbind", "rprivate", "ro", "rprivate"]),
        (",bind-propagation=rslave", ["rbind", "rprivate", "rslave"]),
    ],
)
def test_words_of_a_bind_mount(words: str, options: list[str], tmp_path: Path) -> None:
    """Each word becomes options of the mount; a consistency has no effect, as in docker on Linux."""
    assert mount_option.mount(f"type=bind,src={tmp_path},dst=/x{words}")["options"] == options


@pytest.mark.parametrize("mode", ["cached", "delegated", "consistent", "ro,cached", "z", "Z,ro", "nocopy,ro"])
def test_words_of_v_that_have_no_effect(mode: str) -> None:
    """They are taken; those of docker for a Mac are not even kept."""
    options = mount_option.volume(f"v:/x:{mode}")["options"]
    assert options == [word for word in mode.split(",") if word not in ("cached", "delegated", "consistent")]


@pytest.mark.parametrize("mode", ["ro,rw", "z,Z", "cached,delegated", "slave,rslave", "default", "", "ro,bogus"])
def test_v_takes_one_word_of_each_group(mode: str) -> None:
    """Two of one group, an empty mode and an unknown word are refused, as in docker."""
    with pytest.raises(UsageError, match="--volume v:/x:"):
        mount_option.volume(f"v:/x:{mode}")


def test_a_volume_shows_docker_its_options() -> None:
    """The fields of HostConfig.Mounts; a quoted field may have commas; a subpath is an option of the mount."""
    text = 'type=volume,src=v,dst=/x,volume-driver=local,volume-opt=type=tmpfs,"volume-opt=o=size=1m,mode=700",'
    text += "volume-label=a=b,volume-subpath=./s/t,readonly"
    shown = asked_mounts._mount(text)
    assert shown == {
        "Type": "volume", "Source": "v", "Target": "/x", "ReadOnly": True,
        "VolumeOptions": {
            "Labels": {"a": "b"}, "Subpath": "./s/t",
            "DriverConfig": {"Name": "local", "Options": {"type": "tmpfs", "o": "size=1m,mode=700"}},
        },
    }  # fmt: skip
    options = Options(mount_option.mount(text)["options"])
    assert (options.subpath, options.data) == ("s/t", [])


def test_security_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """The last of a kind counts; the colon still separates; without AppArmor and SELinux their words have no effect."""
    monkeypatch.setattr(labels, "has_apparmor", lambda: False)
    monkeypatch.setattr(labels, "has_selinux", lambda: False)
    found = security_option.parse(["seccomp=unconfined", "label=disable", "label:type:x", "apparmor=mine"])
    assert (found.seccomp, found.apparmor, found.no_new_privileges, found.open_paths) == (
        "unconfined",
        "",
        False,
        False,
    )
    assert security_option.parse(["systempaths=unconfined"]).open_paths
    for word in ("no-new-privileges", "no-new-privileges:true", "no-new-privileges=1"):
        assert security_option.parse([word]).no_new_privileges
        assert not security_option.parse([word, "no-new-privileges:false"]).no_new_privileges
    for word in ("bogus", "bogus=x", "label", "label=foo", "systempaths=x", "no-new-privileges:maybe", "apparmor"):
        with pytest.raises(UsageError, match=f"--security-opt {word}"):
            security_option.parse([word])


def test_security_words_with_a_module(monkeypatch: pytest.MonkeyPatch) -> None:
    """With AppArmor, a profile is that of the program; with SELinux, only label=disable is what tinybox does."""
    monkeypatch.setattr(labels, "has_apparmor", lambda: True)
    monkeypatch.setattr(labels, "has_selinux", lambda: True)
    assert security_option.parse(["apparmor=mine"]).apparmor == "mine"
    assert security_option.parse(["apparmor=mine", "apparmor=unconfined"]).apparmor == ""
    assert security_option.parse(["label=disable"]).apparmor == ""
    with pytest.raises(UsageError, match="tinybox sets no SELinux labels"):
        security_option.parse(["label=type:x"])
