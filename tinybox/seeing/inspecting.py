"""The key `i` at a stop: namespaces of host and box side by side, rights, control groups, links, the tree of mounts."""

from __future__ import annotations

from tinybox.linux import proc

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from tinybox.seeing.snapshot import Section, Snapshot


def lines(states: dict[str, Snapshot]) -> Iterator[str]:
    """Yield lines about the *states* of parent and child, as they were after their last steps."""
    host, box = states.get("parent", {}), states.get("child", {})
    if not box:
        yield "there is no child yet"
        return
    yield f"{'namespace':10} {'host':>12} {'box':>12}"
    for kind, inode in box["namespaces"].items():
        own = host["namespaces"].get(kind)
        yield f"{kind:10} {own or '-':>12} {inode:>12}  {'its own' if inode != own else ''}".rstrip()
    for section in ("process", "rights", "cgroups", "links"):
        yield section
        yield from (f"  {key:14} {value}" for key, value in box[section].items())
    yield "mounts"
    yield from (f"  {line}" for line in tree(box["mounts"]))


def tree(section: Section) -> Iterator[str]:
    """Yield the mounts of a snapshot as a tree: each mount below its parent mount; see findmnt(8)."""
    mounts = proc.mountinfo("".join(f"{key} {line}\n" for key, line in section.items()))
    ids = {mount.mount_id for mount in mounts}

    def below(parent: int, depth: int) -> Iterator[str]:
        for mount in mounts:
            if mount.parent_id == parent and mount.mount_id != parent:
                yield f"{'  ' * depth}{mount.point}  {mount.type}  {','.join(mount.options)}"
                yield from below(mount.mount_id, depth + 1)

    for top in dict.fromkeys(mount.parent_id for mount in mounts if mount.parent_id not in ids):
        yield from below(top, 0)
