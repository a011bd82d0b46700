#!/bin/sh
# Run a box from a checkout; `make run` calls this after the set-up.
#
#   CMD='...' run.sh COMMAND IMAGE
#
# With CMD, the box runs that command. Without CMD, it runs a shell on a terminal; without a terminal, it shows a tour.
set -eu
tinybox=$1 image=$2

if [ -n "${CMD:-}" ]; then
    exec "$tinybox" run --rm "$image" sh -c "$CMD"
fi
if [ -t 0 ] && [ -t 1 ]; then
    echo "\$ tinybox run --rm $image sh"
    exec "$tinybox" run --rm "$image" sh
fi

failed=0
show() {
    echo
    echo "# $1"
    shift
    # Print the command as one would type it: an argument with a blank is quoted.
    printf '$ tinybox run --rm'
    for word in "$@"; do
        case $word in *[[:space:]]*) printf " '%s'" "$word" ;; *) printf ' %s' "$word" ;; esac
    done
    echo
    status=0
    "$tinybox" run --rm "$@" || status=$?
    [ "$status" = 0 ] || echo "(exit status $status)"
    [ "$status" != 125 ] || failed=1 # 125: tinybox failed, not the program
}

echo "There is no terminal here, so this is a tour; on a terminal you get a shell."
show "another root: these are files of the image, not of this host" "$image" head -n 2 /etc/os-release
show "a name of its own (UTS namespace)" --hostname lecture "$image" hostname
show "its own processes: PID 1 is the box's init (PID namespace)" "$image" ps
show "its own mounts, and none of the host's (mount namespace)" "$image" cut -d ' ' -f 5 /proc/self/mountinfo
show "no network but loopback (network namespace)" --network none "$image" ip -o link
show "fewer rights than root on the host (capabilities)" "$image" grep CapEff /proc/self/status
show "the exit status is the program's" "$image" sh -c 'exit 42'
ended=$failed
show "at most 32 MiB of memory (cgroup): a program that takes more is killed" -m 32m "$image" \
    sh -c 'head -c 128m /dev/zero | tail | wc -c'
# Without root a limit is refused, unless the user was given a control group: see docs/rootless.md.
[ "$(id -u)" = 0 ] || failed=$ended
exit "$failed"
