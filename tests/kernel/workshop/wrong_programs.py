"""Plausible wrong programs: a level, what is replaced in its solution, by what, and a part of the check's sentence."""

from __future__ import annotations

# One upper directory for all boxes, beside them.
ONE_FOR_ALL = """\
    merged, box = f"{box}/merged", "/mnt/all"
    for name in ("upper", "work"):
        os.makedirs(f"{box}/{name}", exist_ok=True)"""

WRONG = [
    (1, "child = os.fork()", "child = 0", "the program runs in your own process"),
    (1, "child = os.fork()", "child = os.fork() or os.fork()", "another process is between you and the program"),
    (1, "os.execvp(program[0], program)", "os.execvp(program[0], program[:1])", "hand the list on as it is"),
    (1, "os.execvp(program[0], program)", "os.execvp('sh', ['sh', '-c', 'exec ' + ' '.join(program)])",
     "hand the list on as it is"),
    (1, "return os.WEXITSTATUS(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status)", "return status & 255",
     "`exit 42`: status 0, expected 42"),
    (1, "if os.WIFEXITED(status) else 128 + os.WTERMSIG(status)", "", "status 0, expected 137"),
    (1, "os._exit(127 if isinstance(error, FileNotFoundError) else 126)", "os._exit(1)", "status 1, expected 127"),
    (1, "_, status = os.waitpid(child, 0)", "status = 0", "has ended before the program: wait for it"),
    (2, "os.chroot(root)", "pass", "the program sees other files; see chroot(2)"),
    (2, 'os.chdir("/")', "pass", "not the new root: `cat ../etc/passwd` reads the host's"),
    (2, "    child = os.fork()\n    if child == 0:\n        enter(root)\n",
     "    enter(root)\n    child = os.fork()\n    if child == 0:\n", "you have locked in your own process, too"),
    (2, "os.chroot(root)", "os.chroot(root + '/etc')", "sh: No such file"),
    (3, "    process.unshare(process.CLONE_NEWNS)", "    pass", "the program has no mount namespace of its own"),
    (3, 'mount.mount(b"", b"/", b"", MS_REC | mount.MS_PRIVATE, b"")', "pass", "the host has got a mount: proc on"),
    (3, "MS_REC | mount.MS_PRIVATE", "mount.MS_PRIVATE", "the host has got a mount: proc on /mnt/rootfs/proc"),
    (3, 'mount.mount(b"proc", os.fsencode(root) + b"/proc", b"proc", 0, b"")', "pass", "has no proc on /proc"),
    (3, 'mount.mount(b"proc", os.fsencode(root) + b"/proc", b"proc", 0, b"")',
     'mount.mount(b"/proc", os.fsencode(root) + b"/proc", b"", 0x1000, b"")', "the proc in the box is the host's"),
    (3, "    child = os.fork()\n    if child == 0:\n        own_mounts(root)\n",
     "    own_mounts(root)\n    child = os.fork()\n    if child == 0:\n", "your own process has left it, too"),
    (4, 'mount.pivot_root(b".", b".")\n', "os.chroot('.')\n", "root mount is still the host's; see pivot_root(2)"),
    (4, 'mount.umount2(b".", mount.MNT_DETACH)', "pass", "still has a mount of the host, on /: see umount2(2)"),
    (4, 'mount.umount2(b".", mount.MNT_DETACH)', 'mount.umount2(b".", 0)', "EBUSY"),
    (4, 'mount.mount(os.fsencode(root), os.fsencode(root), b"", MS_BIND | MS_REC, b"")', "pass", "EINVAL"),
    (4, 'mount.mount(b"", b"/", b"", MS_REC | mount.MS_PRIVATE, b"")', "pass", "EINVAL"),
    (5, "workdir={box}/work", "index=off", "Invalid argument"),
    (5, 'mount.mount(b"overlay", os.fsencode(merged), b"overlay", 0, os.fsencode(options))',
     'mount.mount(os.fsencode(root), os.fsencode(merged), b"", 0x5000, b"")', "no overlay"),
    (5, "upperdir={box}/upper,workdir={box}/work", "upperdir={box}/../upper,workdir={box}/../work", "No such file"),
    (5, 'os.makedirs(f"{box}/{name}", exist_ok=True)', 'os.makedirs(f"{box}/{name}")', "FileExistsError"),
    (5, "lowerdir={root},upperdir={box}/upper", "lowerdir={box}/upper,upperdir={root}", "its lowerdir is"),
    (5, '    merged = f"{box}/merged"', ONE_FOR_ALL, "below its directory"),
    (6, "    process.unshare(process.CLONE_NEWUTS)", "    pass", "the program has no UTS namespace of its own"),
    (6, "    socket.sethostname(name)", "    pass", "`hostname` in the box: spare-host, expected box"),
    (6, "    process.unshare(process.CLONE_NEWUTS)\n", "    socket.sethostname(name)\n    process.unshare(0x4000000)\n",
     "the host is called"),
    (6, "own_name(os.path.basename(box))", "own_name(box)", "`hostname` in the box: /mnt/box, expected box"),
    (7, "| process.CLONE_NEWPID", "", "the program has no pid namespace of its own"),
    (7, "os._exit(init(program))", "become(program)", "the program itself is PID 1"),
    (7, "ended, status = os.wait()", "ended, status = os.waitpid(child, 0)", "is in state Z: PID 1 has to wait"),
    (7, "        if ended == child:\n            return", "        if ended:\n            return",
     "has ended with status"),
    (7, "signal.signal(signal.SIGTERM, lambda *_: os.kill(child, signal.SIGTERM))", "pass",
     "SIGTERM for PID 1 does not reach the program: status 0, expected 143"),
    (7, "lambda *_: os.kill(child, signal.SIGTERM)", "lambda *_: os._exit(0)", "status 0, expected 143"),
]  # fmt: skip
