"""Networks and volumes as Python objects: boxes find one another, and what is in use is not removed."""

from __future__ import annotations

import pytest

import tinybox
from tests.support.boxes import new_name
from tinybox.errors import ConflictError, NoSuchError

pytestmark = [pytest.mark.root, pytest.mark.slow]


def test_boxes_in_a_network_find_one_another() -> None:
    """By name; after `disconnect` no longer; after `connect` by an alias. The published port is on the host."""
    name, server = new_name(), new_name()
    with tinybox.Network.create(name, labels={"shop": "1"}) as net:
        assert (str(net), tinybox.Network.get(net.id[:12]).name) == (name, name)
        assert net.inspect()["Labels"] == {"shop": "1"}
        web = tinybox.Container.run("busybox", "sleep", "60", network=net, name=server, publish="127.0.0.1::80")
        with web, tinybox.Container.run("busybox", "sleep", "60", network=net) as other:
            [(address, port)] = web.ports["80/tcp"]
            assert (address, port > 0) == ("127.0.0.1", True)
            reach = ("ping", "-c", "1", "-W", "1")
            assert other.exec(*reach, server).status == 0
            net.disconnect(web)
            assert other.exec(*reach, server).status == 1
            net.connect(web, aliases="shop")
            assert other.exec(*reach, "shop").status == 0
            assert net.inspect()["Containers"].keys() == {web.id, other.id}
            with pytest.raises(ConflictError, match="has active endpoints"):
                net.remove()
        with pytest.raises(ConflictError, match="already exists"):
            tinybox.Network.create(name)
    assert name not in [each.name for each in tinybox.Network.list()]
    with pytest.raises(NoSuchError, match="not found"):
        net.inspect()


def test_a_volume_outlives_its_containers() -> None:
    """What one box writes another one reads. While a box has it, it stays; a volume that was there is left there."""
    name = new_name()
    with tinybox.Volume.create(name, labels={"shop": "1"}) as data:
        assert (data.labels, data.inspect()["Mountpoint"]) == ({"shop": "1"}, data.path)
        tinybox.run("busybox", "sh", "-c", "echo kept > /d/page", volume=f"{data}:/d", rm=True)
        with tinybox.Volume.create(name) as same:
            assert same.name == name
        mount = f"{data}:/d:ro"
        with tinybox.Container.create("busybox", volume=mount), pytest.raises(ConflictError, match="is in use by"):
            data.remove()
        ending = tinybox.run("busybox", "cat", "/d/page", volume=[mount], rm=True, capture_output=True)
        assert ending.stdout == b"kept\n"
    with pytest.raises(NoSuchError, match="no such volume"):
        tinybox.Volume.get(name)
