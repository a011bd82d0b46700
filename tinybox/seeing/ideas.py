"""The idea of each step, what goes wrong without it, and the twelve steps that matter most, to be read aloud.

A step is found by its name, or by the beginning of its name: ``mount/proc`` before ``mount/``. A guard looks whether
each step that a plan can have is here, and whether each sentence belongs to a step.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

# One short way through a run: the steps that make a process a container.
KEY_STEPS = (
    *("cgroup", "limit-", "clone", "network", "private-mounts", "root", "mount/proc", "pivot", "hostname"),
    *("capabilities", "seccomp", "program"),
)

# name or beginning of a name: the idea; what goes wrong without the step, empty if there is little to tell
IDEAS: dict[str, tuple[str, str]] = {
    "ports": (
        "tinybox binds each published port itself, so that no other program of the host can take it meanwhile.",
        "Two programs could want one port: the packets would go to the box, and the other program would wait for ever.",
    ),
    "addresses": (
        "An address is a file in a pool, taken under a lock: two boxes that start at once get different ones.",
        "Two boxes with one address: packets would reach now one, now the other.",
    ),
    "cgroup": (
        "A control group counts and limits what all of its processes use together, children included.",
        "No limit could be set, and there would be no list of the processes that must be killed at the end.",
    ),
    "limit-": (
        "A limit is a number that is written into a file of the control group; from then on the kernel enforces it.",
        "One box could take all memory, all CPU time or all process numbers of the host.",
    ),
    "open-cgroup": (
        "With this descriptor clone3(2) makes the child inside the group: it is never outside of its limits.",
        "A child that is moved later has used memory that is counted elsewhere.",
    ),
    "resctrl": (
        "A class of service is a share of the processor's caches; its directory is made like a control group.",
        "",
    ),
    "volume/": (
        "A volume with a file system of its own is mounted once on the host, and all boxes get copies of the mount.",
        "",
    ),
    "open-": (
        "A namespace of another process is a file in its /proc; an open descriptor of it is enough to join it.",
        "",
    ),
    "find-root": (
        "The root directory is looked up once, before anything is made, and kept as a descriptor.",
        "",
    ),
    "share-root": (
        "A box without its own mount namespace mounts its root where the others see it, too.",
        "",
    ),
    "idmap-layers": (
        "An idmapped mount shows the same files with other owners: the image is stored once, for all boxes.",
        "All files of the image would belong to nobody, or each box would need a copy with other owners.",
    ),
    "etc": (
        (
            "The names of the box and its name servers are files: tinybox writes its own ones, and mounts them over"
            " the image's."
        ),
        "The box would have the image's hosts file, in which its own name is missing.",
    ),
    "make/": (
        "The file system is made first, without a place; the child puts it where it belongs.",
        "",
    ),
    "copy/": (
        (
            "open_tree(2) copies a mount without placing it: the parent still sees the host's files, the child no"
            " longer will."
        ),
        "After pivot_root(2) no path leads to files of the host.",
    ),
    "pipes": (
        "The program gets ends of pipes, and the terminal stays with tinybox.",
        "",
    ),
    "trampoline": (
        (
            "The last code before the program is tiny, in a file without a name, not in the image and not the host's"
            " Python."
        ),
        (
            "/proc/PID/exe would lead from the box to a program of the host, which the box could overwrite"
            " (CVE-2019-5736)."
        ),
    ),
    "outer": (
        "A copy of the host's mount namespace: if a mistake leaks mounts, then into this copy.",
        "",
    ),
    "clone": (
        "One system call makes the child and its new namespaces: from now on there are two views of one machine.",
        "The child would be an ordinary process that sees all of the host.",
    ),
    "home-network": (
        "A user without root may not touch the host's links: the boxes of the user share a network namespace.",
        "",
    ),
    "home": (
        "Only the child stays in the copied mount namespace; tinybox goes back.",
        "",
    ),
    "await-namespaces": (
        "The child makes its namespaces itself here, and tinybox must not act in them before.",
        "",
    ),
    "inherited-own": (
        "CPUs, scheduling and OOM score come from the parent by fork(2), so they are set back.",
        "",
    ),
    "inherited": (
        "CPUs, scheduling and OOM score come from the caller by fork(2), so they are set back.",
        "",
    ),
    "id-maps": (
        "The map says which user of the host is user 0 of the box; only a process outside may write it, and only once.",
        "Every id would be 65534, nobody, and the box could not become its own root.",
    ),
    "join-cgroup": (
        (
            "clone3(2) reaches one group, that of version 2. A hierarchy of version 1 is joined by writing the PID to"
            " a file; where the box needs no group there is none, so open(2) answers ENOENT."
        ),
        "The limits of version 1 would not count the box.",
    ),
    "join-resctrl": (
        "A class of service is joined as a control group is: by writing the PID to a file.",
        "",
    ),
    "oom-score": (
        "When memory runs out, the kernel ends the process with the highest score.",
        "",
    ),
    "net-devices": (
        "A network device belongs to one network namespace at a time; the host does not see it meanwhile.",
        "",
    ),
    "names": (
        "Each box of the network gets the names of the others as lines of its hosts file.",
        "Boxes would reach one another by address only, and addresses change with each start.",
    ),
    "network": (
        (
            "A veth pair is a cable between two network namespaces: one end is in the box, the other is a port of a"
            " bridge, the switch of the host. NAT lets packets leave with the host's address."
        ),
        "A new network namespace has nothing but lo, and that is down: no packet leaves.",
    ),
    "release": (
        "Parent and child wait for one another at two pipes. Now all limits are set, and the child goes on.",
        "",
    ),
    "clocks": (
        "The clocks of a time namespace can be set until the first process is in it.",
        "",
    ),
    "device-filter": (
        "A BPF program in the kernel is asked at each open of a device: null yes, the host's disk no.",
        "root in the box could make a device file of the host's disk with mknod(2), and read it.",
    ),
    "await-mounts": (
        "Hooks of the runtime run between the mounts and the new root, so tinybox waits here.",
        "",
    ),
    "hook-": (
        "A hook is a program that config.json names; it gets the container's state on stdin.",
        "",
    ),
    "go-on-inside": (
        "The child in the joined pid namespace goes on; the first child waits for its end.",
        "",
    ),
    "go-on": (
        "The child waited while hooks ran, and goes on.",
        "",
    ),
    "adopt": (
        "Only a child is inside a joined pid namespace, so the child has made another child, and ends itself.",
        "",
    ),
    "await-network": (
        "The links must be there before the program can use them.",
        "",
    ),
    "await": (
        "From here on the box is complete, and no program of the image has run yet.",
        "",
    ),
    "stream-owner": (
        "A program that is not root may open /proc/self/fd/1 only if it owns the pipe.",
        "",
    ),
    "die-with-parent-again": (
        "The kernel forgets the signal for the parent's death when the user changes.",
        "",
    ),
    "die-with-parent": (
        "The kernel sends SIGKILL to the child when tinybox dies, even if tinybox is killed by SIGKILL.",
        "A box in the foreground would go on without an owner.",
    ),
    "close-foreign": (
        "A descriptor works in every namespace. What the box must not have is closed before it does anything.",
        "An open directory of the host is a way out of the box (CVE-2024-21626).",
    ),
    "erase-environment": (
        "The environment of tinybox, with tokens and passwords, is in memory that the box could read.",
        "",
    ),
    "join-": (
        "setns(2) moves this process into a namespace that exists.",
        "",
    ),
    "unshare": (
        "unshare(2) makes namespaces for this process, after it has joined the others.",
        "",
    ),
    "leave-keyring": (
        "Keys of the caller, such as those of an encrypted disk, are in its session keyring.",
        "",
    ),
    "keyring": (
        "The kernel keeps keys in a session keyring, which fork(2) passes on: the box gets one of its own.",
        "The box could read keys of tinybox's caller.",
    ),
    "wait": (
        "The child waits until it is in its groups, and its ids are mapped.",
        "It could fork before it has a limit on processes.",
    ),
    "become-root": (
        "Whoever is mapped can become user 0 there: root over what belongs to this user namespace only.",
        "",
    ),
    "cgroup-namespace": (
        "A cgroup namespace takes the present group as its root, so it is made after the child is in its group.",
        "/proc/self/cgroup would show the paths of the host.",
    ),
    "time-namespace": (
        "Offsets make another uptime for the box; the time of day is the host's.",
        "",
    ),
    "loopback": (
        "A new network namespace has one link, lo, which is down.",
        "127.0.0.1 would be unreachable: connect(2) gives ENETUNREACH.",
    ),
    "receive-mounts": (
        "A slave mount gets what is mounted on the host later, and gives nothing back.",
        "",
    ),
    "private-mounts": (
        "A copied mount namespace still passes mounts on to the host, where systemd has made / a shared mount.",
        "The mounts of the box would appear on the host, its /proc over the host's; pivot_root(2) would give EINVAL.",
    ),
    "place-layers": (
        "The idmapped copies get names, because overlayfs takes paths.",
        "",
    ),
    "root": (
        "overlayfs shows the layers of the image below, read-only, and one writable directory above, as one tree.",
        "Each box would need a copy of the whole image, or would change it for all others.",
    ),
    "guard": (
        "Without pivot_root(2) the host's files stay in reach, so they become read-only for this demonstration.",
        "",
    ),
    "mount/proc": (
        "/proc shows the processes of the pid namespace in which it is mounted, so the box needs its own.",
        "ps would show the host's processes, or none; kill(2) would use other numbers than ps shows.",
    ),
    "mount/sys/fs/cgroup": (
        "The box sees its own group as the root of all groups.",
        "",
    ),
    "mount/sys": (
        "/sys belongs to a network namespace: here it shows the links of the box.",
        "",
    ),
    "mount/dev/pts": (
        "Each devpts has its own terminals, numbered from 0.",
        "The terminals of the host would be in the box, and it could write to them.",
    ),
    "mount/dev/shm": (
        "Shared memory of shm_open(3) is files in this tmpfs, and it is limited.",
        "",
    ),
    "mount/dev": (
        "An empty tmpfs, for the few devices that a program needs.",
        "The device files of the host would be there, with its disks.",
    ),
    "mount/": (
        "A mount is a file system at a place; the path is looked up inside the new root, never outside.",
        "",
    ),
    "device/": (
        "A device file is two numbers, which name a driver of the kernel; the device filter must allow them, too.",
        "",
    ),
    "devices": (
        "null, zero, full, random, urandom and tty are all that programs expect.",
        "A redirection to /dev/null would make a file, and random numbers would be missing.",
    ),
    "links": (
        "/dev/stdin and /dev/fd are names for the descriptors of the process that opens them.",
        "",
    ),
    "session": (
        "A session has one terminal at most; a new session has none.",
        "The box could push characters into the terminal of tinybox's caller (ioctl TIOCSTI).",
    ),
    "terminal": (
        "A terminal of the box's own devpts: the program has one end, tinybox copies the other.",
        "",
    ),
    "streams": (
        "Descriptors 0, 1 and 2 are all that the program gets; dup2(2) puts them there.",
        "",
    ),
    "chroot": (
        "chroot(2) changes where path names begin, and nothing else; compare pivot.",
        "",
    ),
    "own-root": (
        "fs_struct, which has root and working directory, may be shared with other processes.",
        "",
    ),
    "mounted": (
        "The child reports, because hooks of the host must run before the old root is gone.",
        "",
    ),
    "pivot": (
        "pivot_root(2) makes the overlay the root of this mount namespace; then the old root is detached.",
        "With chroot(2) the host's files would stay mounted, and root could climb out to them.",
    ),
    "sysctl-": (
        "Some parameters of the kernel exist once for each namespace: only the box gets this value.",
        "",
    ),
    "readonly-paths": (
        "A bind mount of a path on itself can be made read-only, while the rest of /proc stays as it is.",
        "root in the box could change the kernel of the host by /proc/sys, or reboot it by /proc/sysrq-trigger.",
    ),
    "masked-paths": (
        "/dev/null over a file, and an empty tmpfs over a directory, hide what has no namespace.",
        "The box could read secrets of the host's kernel, such as the keys in /proc/keys.",
    ),
    "propagation": (
        "config.json asks how later mounts spread between this root and others.",
        "",
    ),
    "hostname": (
        "The name belongs to the UTS namespace; sethostname(2) changes that of the box only.",
        "The box would have the host's name, and would change it for the host.",
    ),
    "memory-policy": (
        "On a machine with several memories, a process can ask for the nearest.",
        "",
    ),
    "domainname": (
        "The NIS name belongs to the UTS namespace, as the host name does.",
        "",
    ),
    "scheduler": (
        "The policy says how the scheduler compares this process with others.",
        "",
    ),
    "io-priority": (
        "The priority says who goes first at a busy disk.",
        "",
    ),
    "personality": (
        "An old ABI: the kernel answers uname(2) as on a 32-bit machine.",
        "",
    ),
    "limit-RLIMIT_": (
        "An rlimit holds for each process alone, and children inherit it; a control group counts all together.",
        "",
    ),
    "directory": (
        "A relative path begins at the working directory, which must be inside of the new root.",
        "",
    ),
    "readonly-root": (
        "The same file system, remounted read-only for this box.",
        "",
    ),
    "no-new-privs": (
        "From now on execve(2) gives no program more rights: no setuid, no file capabilities.",
        "A setuid program of the image could get rights that the box was meant to lack.",
    ),
    "bounding-set": (
        "What is not in the bounding set cannot be gained by any execve(2), ever again.",
        "A program with file capabilities could get them back.",
    ),
    "identity": (
        "The groups first, then the user: afterwards there would be no right to change the groups.",
        "",
    ),
    "capabilities": (
        "root's power is 41 single rights; the box keeps the few that programs need, as docker does.",
        "root in the box could load kernel modules, set the clock, and mount the host's disk.",
    ),
    "escape": (
        "The classical way out of chroot(2), tried on purpose.",
        "",
    ),
    "find-program": (
        "The program is looked up in PATH of the box, by its own file system.",
        "",
    ),
    "hide": (
        "A process that is not dumpable cannot be traced, and its /proc/PID belongs to root.",
        "",
    ),
    "hand-over-terminal": (
        "A descriptor can be copied from another process by pidfd_getfd(2).",
        "",
    ),
    "close-rest": (
        "What was needed until here is closed; only the standard streams and the two pipes stay.",
        "",
    ),
    "outlive-parent": (
        "An OCI runtime ends after `create`, and the container goes on without it.",
        "",
    ),
    "native-init": (
        "PID 1 becomes a program of 300 bytes that forwards signals and reaps zombies.",
        "PID 1 would be the host's Python interpreter, with megabytes of memory.",
    ),
    "subreaper": (
        "Orphans of this process come to it, as they come to PID 1.",
        "",
    ),
    "ready": (
        "All is made, nothing has run: between `create` and `start`, an OCI runtime stops here.",
        "",
    ),
    "label-": (
        "A security module of the kernel (AppArmor, SELinux) knows the program by this label from execve(2) on.",
        "",
    ),
    "close": (
        "With the last pipe closed, the program has 0, 1 and 2, and nothing of tinybox.",
        "",
    ),
    "start-trampoline": (
        "The program is a process of its own already, and waits for the last word.",
        "",
    ),
    "name": (
        "`ps` shows what this process is for, and its memory no longer has tinybox's command line.",
        "",
    ),
    "seccomp": (
        "A program in the kernel looks at each system call and its numbers; what docker forbids gives EPERM.",
        "The box could use every system call, and each mistake of the kernel in those that no program needs.",
    ),
    "go-inside": (
        "The child in the joined pid namespace goes on, and this process is not needed any more.",
        "",
    ),
    "program": (
        (
            "execve(2) replaces the code: the process, its PID, namespaces and limits stay. An init as PID 1 stays"
            " for signals and zombies."
        ),
        "A program as PID 1 ignores SIGTERM by default, and its orphans stay zombies.",
    ),
}


def of(name: str) -> tuple[str, str]:
    """Return the idea of the step *name*, and what goes wrong without it; both empty for an unknown step."""
    found = _longest(name, IDEAS)
    return IDEAS[found] if found else ("", "")


def is_key(name: str) -> bool:
    """Return whether this is one of the twelve steps that matter most."""
    return _longest(name, IDEAS) in KEY_STEPS


def _longest(name: str, known: Iterable[str]) -> str:
    """Return the longest of the *known* names that is *name*, or its beginning if it ends with one of ``-/_``."""
    fits = [one for one in known if name == one or (one[-1] in "-/_" and name.startswith(one))]
    return max(fits, key=len, default="")
