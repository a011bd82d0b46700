#!/bin/sh
# In a mount and a PID namespace of its own: make the directory $1 a system's root, with what a booted machine has mounted,
# and run the rest of the words in it.
set -eu
root=$1
shift
mount --bind "$root" "$root" # pivot_root(2) wants the new root to be a mount
cd "$root"
mount -t proc proc proc
mount --rbind /sys sys
mount --rbind /dev dev
mount -t tmpfs run run
pivot_root . mnt # not chroot(1): in there, the kernel permits no user namespaces
cd /
umount -l mnt
exec "$@"
