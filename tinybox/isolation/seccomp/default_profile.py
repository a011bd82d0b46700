"""The default seccomp profile: the list of system calls that a container may make, by subject.

It is an allow-list with the facts of Docker's default profile (moby/profiles, 2026). A name that a machine lacks is
ignored there. Calls that are not listed are refused: keyctl (keys belong to no namespace), mount, kexec_load, swapon,
userfaultfd, io_uring, pivot_root, and every call that the kernel adds later.

Two names of Docker's list are missing on purpose: socketcall and ipc, by which i386 makes many calls. A rule that
allowed them would allow every kind of socket. Without a rule, each is decided like the call for which it stands; see
`multiplexed` in compiler.py, and ADR 25.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection
    from typing import Any

ALWAYS = {
    "Paths: every path that a program uses begins at the container's own root.": """
        access chdir chmod chown chown32 creat faccessat faccessat2 fchdir fchmod fchmodat fchmodat2 fchown fchown32
        fchownat fstat fstat64 fstatat64 fstatfs fstatfs64 getcwd lchown lchown32 link linkat lstat lstat64 mkdir
        mkdirat mknod mknodat name_to_handle_at newfstatat open openat openat2 readlink readlinkat rename renameat
        renameat2 rmdir stat stat64 statfs statfs64 statx symlink symlinkat truncate truncate64 umask unlink unlinkat
    """,
    "Extended attributes: the file system and capabilities protect the important ones.": """
        fgetxattr flistxattr fremovexattr fsetxattr getxattr getxattrat lgetxattr listxattr listxattrat llistxattr
        lremovexattr lsetxattr removexattr removexattrat setxattr setxattrat
    """,
    "Open files: an open file may be used, by any of the many calls for it.": """
        _llseek close close_range copy_file_range dup dup2 dup3 fadvise64 fadvise64_64 fallocate fcntl fcntl64
        fdatasync flock fsync ftruncate ftruncate64 getdents getdents64 ioctl lseek pipe pipe2 pread64 preadv preadv2
        pwrite64 pwritev pwritev2 read readahead readv sendfile sendfile64 splice sync sync_file_range syncfs tee
        vmsplice write writev
    """,
    "Waiting: on many files at once, on events, and on changes to files.": """
        _newselect epoll_create epoll_create1 epoll_ctl epoll_ctl_old epoll_pwait epoll_pwait2 epoll_wait
        epoll_wait_old eventfd eventfd2 fanotify_mark inotify_add_watch inotify_init inotify_init1 inotify_rm_watch
        poll ppoll ppoll_time64 pselect6 pselect6_time64 select
    """,
    "Asynchronous I/O in its old form; io_uring, the new form, has had too many security holes.": """
        io_cancel io_destroy io_getevents io_pgetevents io_pgetevents_time64 io_setup io_submit
    """,
    "Mounts: listing them, not changing them.": """
        listmount statmount
    """,
    "Memory: each process has its own, so the risk is small.": """
        brk madvise map_shadow_stack membarrier memfd_create memfd_secret mincore mlock mlock2 mlockall mmap mmap2
        mprotect mremap mseal msync munlock munlockall munmap pkey_alloc pkey_free pkey_mprotect process_mrelease
        remap_file_pages
    """,
    "Processes: starting, ending and waiting for them; clone has its own rule below.": """
        execve execveat exit exit_group fork getpgid getpgrp getpid getppid getsid gettid pidfd_open prctl
        restart_syscall setpgid setsid vfork wait4 waitid waitpid
    """,
    "Threads: the calls by which libc makes them, locks them and gives each its own storage.": """
        arch_prctl futex futex_requeue futex_time64 futex_wait futex_waitv futex_wake get_robust_list get_thread_area
        modify_ldt rseq set_robust_list set_thread_area set_tid_address
    """,
    "Debuggers: since Linux 4.8 the filter runs after the tracer, so that ptrace cannot bypass it.": """
        process_vm_readv process_vm_writev ptrace uretprobe
    """,
    "Signals: the PID namespace already limits which processes they reach.": """
        kill pause pidfd_send_signal rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn
        rt_sigsuspend rt_sigtimedwait rt_sigtimedwait_time64 rt_tgsigqueueinfo sigaltstack signalfd signalfd4
        sigprocmask sigreturn tgkill tkill
    """,
    "Identity: users, groups and capabilities; the kernel checks every change by the capabilities that are left.": """
        capget capset getegid getegid32 geteuid geteuid32 getgid getgid32 getgroups getgroups32 getresgid getresgid32
        getresuid getresuid32 getuid getuid32 setfsgid setfsgid32 setfsuid setfsuid32 setgid setgid32 setgroups
        setgroups32 setregid setregid32 setresgid setresgid32 setresuid setresuid32 setreuid setreuid32 setuid setuid32
    """,
    "Shares and limits: priorities, processors and resource limits; the cgroup has the final limits.": """
        getcpu getpriority getrlimit getrusage ioprio_get ioprio_set prlimit64 sched_get_priority_max
        sched_get_priority_min sched_getaffinity sched_getattr sched_getparam sched_getscheduler
        sched_rr_get_interval sched_rr_get_interval_time64 sched_setaffinity sched_setattr sched_setparam
        sched_setscheduler sched_yield setpriority setrlimit sysinfo times ugetrlimit uname
    """,
    "Sockets that exist; the allowed kinds of new sockets have their own rules below.": """
        accept accept4 bind connect getpeername getsockname getsockopt listen recv recvfrom recvmmsg recvmmsg_time64
        recvmsg send sendmmsg sendmsg sendto setsockopt shutdown socketpair
    """,
    "System V and POSIX message queues, semaphores and shared memory: they belong to the IPC namespace.": """
        mq_getsetattr mq_notify mq_open mq_timedreceive mq_timedreceive_time64 mq_timedsend mq_timedsend_time64
        mq_unlink msgctl msgget msgrcv msgsnd semctl semget semop semtimedop semtimedop_time64 shmat shmctl shmdt shmget
    """,
    "Time: clocks, sleeping, timers; adjtimex and similar calls only read, and need CAP_SYS_TIME to change.": """
        adjtimex alarm clock_adjtime clock_adjtime64 clock_getres clock_getres_time64 clock_gettime clock_gettime64
        clock_nanosleep clock_nanosleep_time64 futimesat getitimer gettimeofday nanosleep setitimer time timer_create
        timer_delete timer_getoverrun timer_gettime timer_gettime64 timer_settime timer_settime64 timerfd_create
        timerfd_gettime timerfd_gettime64 timerfd_settime timerfd_settime64 utime utimensat utimensat_time64 utimes
    """,
    "Random numbers, and sandboxes that a program makes for itself: a process may always give up rights.": """
        getrandom landlock_add_rule landlock_create_ruleset landlock_restrict_self seccomp
    """,
    "New calls that only return information.": """
        cachestat riscv_hwprobe
    """,
}

# A program with a capability may make the calls that need it; otherwise the capability would be of little use.
BY_CAPABILITY = {
    "CAP_BPF": "bpf",
    "CAP_DAC_READ_SEARCH": "open_by_handle_at",
    "CAP_PERFMON": "perf_event_open",
    "CAP_SYS_ADMIN": """
        bpf clone clone3 fanotify_init fsconfig fsmount fsopen fspick lookup_dcookie lsm_get_self_attr
        lsm_list_modules lsm_set_self_attr mount mount_setattr move_mount open_tree perf_event_open quotactl
        quotactl_fd setdomainname sethostname setns syslog umount umount2 unshare
    """,
    "CAP_SYS_BOOT": "reboot",
    "CAP_SYS_CHROOT": "chroot",
    "CAP_SYS_MODULE": "delete_module finit_module init_module",
    "CAP_SYS_NICE": "get_mempolicy mbind set_mempolicy set_mempolicy_home_node",
    "CAP_SYS_PACCT": "acct",
    "CAP_SYS_PTRACE": "kcmp pidfd_getfd process_madvise process_vm_readv process_vm_writev ptrace",
    "CAP_SYS_RAWIO": "ioperm iopl",
    "CAP_SYS_TIME": "clock_settime clock_settime64 settimeofday stime",
    "CAP_SYS_TTY_CONFIG": "vhangup",
    "CAP_SYSLOG": "syslog",
}

# The namespace flags of clone(2): NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET.
NEW_NAMESPACES = 0x7E020000

# The normal one, UNAME26, 32-bit uname, both of these, and the query for the present one; see personality(2).
PERSONALITIES = (0x0, 0x20000, 0x8, 0x20008, 0xFFFFFFFF)

# Families of socket(2) below AF_MAX that are refused: most no longer exist in the kernel; ALG is the kernel's
# cryptography, which few programs use and which has had a security hole; VSOCK is a connection to the hypervisor, which
# no network namespace limits.
FAMILIES = 46
SHUT_FAMILIES = {
    12: "DECnet",
    19: "ECONET",
    20: "ATMSVC",
    23: "IRDA",
    25: "WANPIPE",
    34: "ISDN",
    37: "CAIF",
    38: "ALG",
    40: "VSOCK",
}

ARCHITECTURES = {
    "x86_64": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"],
    "aarch64": ["SCMP_ARCH_AARCH64"],
}


def default_profile(capabilities: Collection[str], machine: str) -> dict[str, Any]:
    """Return the OCI object ``linux.seccomp`` for a program with these *capabilities* (CAP_...); see seccomp(2)."""
    names = {name for group in ALWAYS.values() for name in group.split()}
    for capability, calls in BY_CAPABILITY.items():
        if capability in capabilities:
            names.update(calls.split())
    namespaces = [] if "CAP_SYS_ADMIN" in capabilities else without_namespaces()
    return {
        "defaultAction": "SCMP_ACT_ERRNO",
        "defaultErrnoRet": 1,  # EPERM
        "architectures": ARCHITECTURES.get(machine, []),
        "syscalls": [
            {"names": sorted(names), "action": "SCMP_ACT_ALLOW"},
            *namespaces,
            *[allow_if("personality", "EQ", value) for value in PERSONALITIES],
            *sockets(),
        ],
    }


def without_namespaces() -> list[dict[str, Any]]:
    """Return rules that allow clone(2) without new namespaces, and answer clone3(2) with ENOSYS.

    The flags of clone3 are behind a pointer, where a filter cannot read them. After ENOSYS, libc calls clone instead,
    whose flags are an argument.
    """
    clone3 = {"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38}  # ENOSYS
    return [allow_if("clone", "MASKED_EQ", NEW_NAMESPACES), clone3]


def sockets() -> list[dict[str, Any]]:
    """Return rules that allow socket(2) for all families except SHUT_FAMILIES.

    One rule allows all families below the first refused one; each other allowed family has its own rule.
    """
    first = min(SHUT_FAMILIES)
    single = [family for family in range(first, FAMILIES) if family not in SHUT_FAMILIES]
    return [allow_if("socket", "LT", first), *[allow_if("socket", "EQ", family) for family in single]]


def allow_if(name: str, operator: str, value: int) -> dict[str, Any]:
    """Return a rule that allows the call *name* if its first argument compares with *value* by *operator*."""
    condition = {"index": 0, "value": value, "op": f"SCMP_CMP_{operator}"}
    return {"names": [name], "action": "SCMP_ACT_ALLOW", "args": [condition]}
