#!/bin/sh
# Prepare a Debian or an Ubuntu for the lecture: install tinybox with completion and manual pages for all users, and
# make two images. Run it as root, in the checkout; the Vagrantfile does so.
#
# It does only what is missing, and needs the network only for that. The code stays in the checkout, so a change there
# takes effect at once.
set -eu
cd "$(dirname "$0")/.."

VENV=/opt/tinybox # not in the checkout, because a .venv there may have been made on another system

tools/setup.sh packages lecture
if [ ! "$VENV/.ready" -nt pyproject.toml ]; then
    tools/setup.sh venv "$VENV"
    touch "$VENV/.ready"
fi
tools/setup.sh install "$VENV/bin"
tools/setup.sh images "$VENV/bin/tinybox" busybox alpine
# The machine's user types the same commands without sudo: see docs/rootless.md. The box may have given ids already.
if id vagrant >/dev/null 2>&1 && ! grep -q '^vagrant:' /etc/subuid /etc/subgid 2>/dev/null; then
    usermod --add-subuids 100000-165535 --add-subgids 100000-165535 vagrant
fi
tinybox doctor
