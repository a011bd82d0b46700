#!/bin/sh
# PID 1 of the machine, twice. In the initramfs it finds the host's root: read-only by 9p, under an overlay in memory.
# There it runs itself again, and puts up what a machine has: file systems, one pure cgroup v2, a disk, a network.
# /run/machine: `command` and `modules` come in by the initramfs; `report` goes out; `host` is the host's root as it is;
# `covered` is what would lie at /var/tmp if the disk did not.

# In the initramfs: busybox and the modules of its list, in the order in which they need one another.
first() {
    mkdir -p /proc /sys /dev /host /memory /new
    mount -t proc proc /proc
    mount -t sysfs sys /sys
    mount -t devtmpfs dev /dev
    while read -r module; do insmod "$module"; done < /modules.list
    mount -t 9p -o ro,trans=virtio,version=9p2000.L,cache=loose,msize=1048576 root /host || die "no root by 9p"
    mount -t tmpfs -o size=90% memory /memory
    mkdir /memory/upper /memory/work
    mount -t overlay -o lowerdir=/host,upperdir=/memory/upper,workdir=/memory/work root /new || die "no overlay"
    mkdir -p /new/run
    mount -t tmpfs run /new/run
    mkdir -p /new/run/machine/host
    cp /init /command /modules /new/run/machine/
    mount --move /host /new/run/machine/host
    for name in proc sys dev; do mount --move /$name /new/$name; done
    exec switch_root /new /bin/sh /run/machine/init second
}

# In the new root.
second() {
    export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
    mkdir -p /dev/pts /dev/shm /dev/mqueue
    mount -t devpts -o gid=5,mode=620,ptmxmode=666 pts /dev/pts
    mount -t tmpfs shm /dev/shm
    mount -t mqueue mqueue /dev/mqueue
    ln -sf /proc/self/fd /dev/fd
    mount -t cgroup2 -o nsdelegate cgroup2 /sys/fs/cgroup
    mkdir -p "/lib/modules/$(uname -r)"
    mount --bind "$(cat /run/machine/modules)" "/lib/modules/$(uname -r)"
    ln -s /bin/busybox /run/machine/modprobe # what the kernel calls when it wants a module; not every host has kmod
    echo /run/machine/modprobe > /proc/sys/kernel/modprobe
    /bin/busybox modprobe -a fuse loop tun
    # Overlays of tests cannot stand on an overlay, nor an idmapped mount (before 6.3) on tmpfs: their place is a disk.
    mkdir /run/machine/covered
    mount --bind /var/tmp /run/machine/covered
    mount -t ext4 /dev/vda /var/tmp && chmod 1777 /var/tmp
    hostname machine
    ip link set lo up
    if [ -e /sys/class/net/eth0 ]; then network; fi
    /bin/busybox setsid /bin/sh /run/machine/command > "$(port output)" 2>&1 < /dev/null
    status=$?
    [ ! -e /run/machine/report ] || cat /run/machine/report > "$(port report)"
    echo $status > "$(port status)"
    /bin/busybox poweroff -f
}

# The addresses of qemu's user-mode network: see "Using the user mode network stack" in its manual.
network() {
    ip addr add 10.0.2.15/24 dev eth0
    ip link set eth0 up
    ip route add default via 10.0.2.2
}

# Print the device of the virtio-serial port called $1.
port() {
    for folder in /sys/class/virtio-ports/*; do
        [ "$(cat "$folder/name")" != "$1" ] || echo "/dev/${folder##*/}"
    done
}

die() {
    echo "machine: $1"
    poweroff -f
}

"${1:-first}"
