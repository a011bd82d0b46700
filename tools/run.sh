#!/bin/sh
# Run a box from a checkout: what `make run` says once everything is there.
#
#   CMD='...' run.sh COMMAND IMAGE
#
# With CMD the box runs that. Without it, on a terminal, it is a shell; elsewhere, a short tour.
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
    # As one would type it: a word with a blank in it stands in quotes.
    printf '$ tinybox run --rm'
    for word in "$@"; do
        case $word in *[[:space:]]*) printf " '%s'" "$word" ;; *) printf ' %s' "$word" ;; esac
    done
    echo
    status=0
    "$tinybox" run --rm "$@" || status=$?
    [ "$status" = 0 ] || echo "(exit status $status)"
    [ "$status" != 125 ] || failed=1 # 125: it was tinybox that failed
}

echo "There is no terminal here, so this is a tour; on a terminal you get a shell."
show "another root: the files are the image's, not this host's" "$image" head -n 2 /etc/os-release
show "a name of its own (UTS namespace)" --hostname lecture "$image" hostname
show "its own processes: PID 1 is the box's init (PID namespace)" "$image" ps
show "its own mounts, and nothing of the host's (mount namespace)" "$image" cut -d ' ' -f 5 /proc/self/mountinfo
show "no network but loopback (network namespace)" --network none "$image" ip -o link
show "fewer rights than root has outside (capabilities)" "$image" grep CapEff /proc/self/status
show "at most 32 MiB of memory (cgroup): the one that takes more is killed" -m 32m "$image" \
    sh -c 'head -c 128m /dev/zero | tail | wc -c'
show "the exit status is the program's" "$image" sh -c 'exit 42'
exit "$failed"
