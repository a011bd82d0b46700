#!/bin/sh
# In the root of a new Debian: make it what Vagrant expects of a box, and provision it while there is a network.
# $1 is Vagrant's well-known public key; with it, `vagrant up` logs in for the first time, and then replaces it.
set -eu
useradd --create-home --shell /bin/bash vagrant
install -d -m 700 -o vagrant -g vagrant /home/vagrant/.ssh
echo "$1" > /home/vagrant/.ssh/authorized_keys
chown vagrant:vagrant /home/vagrant/.ssh/authorized_keys
chmod 600 /home/vagrant/.ssh/authorized_keys
echo 'vagrant ALL=(ALL) NOPASSWD: ALL' > /etc/sudoers.d/vagrant
chmod 440 /etc/sudoers.d/vagrant
printf '[Match]\nName=e*\n[Network]\nDHCP=ipv4\n' > /etc/systemd/network/10-dhcp.network
echo '/dev/vda / ext4 defaults 0 1' > /etc/fstab
printf '127.0.0.1 localhost\n127.0.1.1 debian\n' > /etc/hosts
echo debian > /etc/hostname
systemctl --quiet enable systemd-networkd ssh
systemctl --quiet disable systemd-networkd-wait-online
systemctl --quiet mask apt-daily.timer apt-daily-upgrade.timer man-db.timer e2scrub_all.timer # slow when emulated
/vagrant/vm/provision.sh
