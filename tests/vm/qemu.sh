#!/bin/sh
# qemu, as libvirt starts it for the box of tests/vm/vagrant_box.py: emulated processors take turns in one thread. With a
# thread each, which libvirt cannot change, synchronizing them takes twice the time. See -accel in qemu-system-x86_64(1).
before=
for word; do
    shift
    [ "$before $word" != "-accel tcg" ] || word=tcg,thread=single
    set -- "$@" "$word"
    before=$word
done
exec /usr/bin/qemu-system-x86_64 "$@"
