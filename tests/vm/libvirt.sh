#!/bin/sh
# In mount, network and PID namespaces of its own: start libvirtd with all its state below $1, and run the rest of the
# words. Nothing of the host's changes: libvirt's directories, its user and its networks exist in here only. See
# libvirtd(8), and qemu.conf for the settings.
set -eu
state=$1
shift
umount --recursive --lazy /sys # in this mount namespace only: libvirt must not find the host's control groups
mount -t sysfs sys /sys        # shows the links of this network namespace
mount -t tmpfs run /run
for folder in /etc /var/lib /var/cache /var/log; do # what is written there lands below $state
    mkdir -p "$state/upper$folder" "$state/work$folder"
    mount -t overlay -o "lowerdir=$folder,upperdir=$state/upper$folder,workdir=$state/work$folder" overlay "$folder"
done
mkdir -p /etc/libvirt
cat > /etc/libvirt/qemu.conf <<'END'
user = "root"
group = "root"
security_driver = "none"
namespaces = []
cgroup_controllers = []
remember_owner = 0
stdio_handler = "file"
END
cat > /etc/libvirt/libvirtd.conf <<END
auth_unix_rw = "none"
auth_unix_ro = "none"
log_outputs = "2:file:$state/libvirtd.log"
END
# libvirt's compiled-in user must exist, even if another one is configured.
grep -q '^libvirt-qemu:' /etc/passwd || echo 'libvirt-qemu:x:64055:64055::/:/usr/sbin/nologin' >> /etc/passwd
grep -q '^libvirt-qemu:' /etc/group || echo 'libvirt-qemu:x:64055:' >> /etc/group
ip link set lo up
libvirtd > "$state/output" 2>&1 &
until virsh --quiet --connect qemu:///system uri > "$state/uri" 2>&1; do
    kill -0 $! || { cat "$state/output" "$state/libvirtd.log" >&2; exit 1; }
done
"$@"
