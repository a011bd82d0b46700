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
# The files that Vagrant writes for more networks come before this one.
printf '[Match]\nName=e*\n[Network]\nDHCP=ipv4\n[DHCPv4]\nClientIdentifier=mac\n' > /etc/systemd/network/90-dhcp.network
# A slow machine may not answer in time. sshd(8) would then refuse the next connections, as from one who guesses keys.
echo 'PerSourcePenalties no' > /etc/ssh/sshd_config.d/vagrant.conf
echo '/dev/vda / ext4 defaults 0 1' > /etc/fstab
printf '127.0.0.1 localhost\n127.0.1.1 debian\n' > /etc/hosts
echo debian > /etc/hostname
systemctl --quiet enable systemd-networkd ssh
systemctl --quiet disable systemd-networkd-wait-online
systemctl --quiet mask apt-daily.timer apt-daily-upgrade.timer man-db.timer e2scrub_all.timer # slow when emulated
printf '#!/bin/sh\nexit 101\n' > /usr/sbin/policy-rc.d # no package starts its service; see invoke-rc.d(8)
chmod +x /usr/sbin/policy-rc.d
/vagrant/vm/provision.sh
SYSTEMD_OFFLINE=1 /vagrant/vm/swarm.sh engine # the machine itself configures docker and starts it
rm /etc/docker/daemon.json /usr/sbin/policy-rc.d
systemctl --quiet disable docker.service docker.socket containerd.service
: > /etc/machine-id # each machine gets its own; see machine-id(5)
