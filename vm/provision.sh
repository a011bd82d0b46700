#!/bin/sh
# Make a Debian or an Ubuntu ready for the lecture: tinybox with completion and manual pages, for root and for everyone
# who may use sudo, and two images. As root, in the checkout; the Vagrantfile runs it.
#
# It does only what is missing, and needs the network for nothing else. The code stays in the checkout: what is changed
# there is what runs.
set -eu
cd "$(dirname "$0")/.."

VENV=/opt/tinybox # not in the checkout, whose own .venv may be another system's

tools/setup.sh packages lecture
if [ ! "$VENV/.ready" -nt pyproject.toml ]; then
    tools/setup.sh venv "$VENV"
    touch "$VENV/.ready"
fi
tools/setup.sh install "$VENV/bin"
tools/setup.sh images "$VENV/bin/tinybox" busybox alpine
tinybox doctor
