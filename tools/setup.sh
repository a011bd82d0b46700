#!/bin/sh
# Set up all that tinybox needs. Each verb does only what is missing, and prints what it does.
#
#   setup.sh packages [KIND]         install the Debian packages, and those of a KIND: test (used by the tests), lecture
#                                    (for a virtual machine for the lecture), lecture-test and vagrant-test (used by
#                                    the tests of that)
#   setup.sh venv DIR                make a virtual environment with the command, editable, and the developers' tools
#   setup.sh install DIR [1]         install the command of DIR for all users, with completion and manual pages (root);
#                                    with 1 also as `docker`, unless there is a docker
#   setup.sh uninstall               remove them again; a `docker` that is not tinybox stays (root)
#   setup.sh images COMMAND NAME...  make the images in the store (root)
set -eu
cd "$(dirname "$0")/.."

say() { echo "set-up: $*"; }
fail() { echo "set-up: $*" >&2; exit 1; }

# nftables: the firewall of boxes. busybox-static: the image busybox. qemu-utils, e2fsprogs: qemu-img converts the disk
# that contains Alpine, and debugfs reads it. ca-certificates: pip uses the system's certificates.
PACKAGES="nftables busybox-static qemu-utils e2fsprogs ca-certificates"
# Used by the tests: criu for checkpoints, other programs for links, system calls, terminals, archives and images, the
# kernel's headers, the schemas of the OCI specification; and qemu for the virtual machine with cgroup v2 alone
# (tests/vm downloads its kernel).
case $(uname -m) in aarch64) QEMU=qemu-system-arm ;; *) QEMU=qemu-system-x86 ;; esac
TEST_PACKAGES="criu iproute2 curl strace tmux chromium fonts-dejavu-core zstd linux-libc-dev skopeo umoci openssl $QEMU golang-github-opencontainers-specs-dev sudo"
# For boxes without root: newuidmap and newgidmap, a network with a way out, by slirp4netns or by pasta (passt), and
# fuse-overlayfs for a store in which the kernel refuses overlays.
TEST_PACKAGES="$TEST_PACKAGES uidmap slirp4netns passt fuse-overlayfs"
# The engines that run on tinybox-oci in the tests, with their dependencies, and the runtimes for comparison.
ENGINES="podman buildah containerd runc crun catatonit containernetworking-plugins iptables docker-compose"
# For a virtual machine for the lecture (vm/provision.sh), and for its tests.
LECTURE_PACKAGES="python3-venv bash-completion man-db uidmap slirp4netns"
# vagrant lists the machines of a Vagrantfile only if it has a provider that works: the plugin for libvirt does, alone.
LECTURE_TEST_PACKAGES="vagrant vagrant-libvirt debootstrap"
# For `vagrant up` with libvirt, started by the test itself: without libvirt-daemon-system, which has the services.
VAGRANT_TEST_PACKAGES="$LECTURE_TEST_PACKAGES $QEMU libvirt-daemon libvirt-clients libvirt-daemon-driver-qemu dnsmasq-base rsync"

# Shells and man(1) of all users read files here that belong to no package.
PREFIX=${PREFIX-/usr/local}
BIN=$PREFIX/bin
SHARE=$PREFIX/share

installed() {
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

apt_install() {
    say "apt-get install $*"
    as_root apt-get -qq update
    as_root apt-get -qq -y --no-install-recommends install "$@" >/dev/null
}

as_root() {
    if [ "$(id -u)" = 0 ]; then DEBIAN_FRONTEND=noninteractive "$@"; else sudo DEBIAN_FRONTEND=noninteractive "$@"; fi
}

packages() {
    case ${1-} in
    test) PACKAGES="$PACKAGES $TEST_PACKAGES" ;;
    lecture) PACKAGES="$PACKAGES $LECTURE_PACKAGES" ;;
    lecture-test) PACKAGES="$PACKAGES $LECTURE_TEST_PACKAGES" ;;
    vagrant-test) PACKAGES="$PACKAGES $VAGRANT_TEST_PACKAGES" ;;
    esac
    command -v dpkg-query >/dev/null || { say "this is not Debian: please install the programs of $PACKAGES"; return; }
    missing=
    for package in $PACKAGES; do
        installed "$package" || missing="$missing $package"
    done
    # shellcheck disable=SC2086  # a list of packages
    [ -z "$missing" ] || apt_install $missing
    [ "${1-}" != test ] || { engines; services; }
}

services() {
    served docker-registry docker-registry
    served docker.io docker dockerd
    served munge munge munged
    served slurmctld slurmctld slurmctld
    served slurmd slurmd slurmd
}

# A package ($1) that starts a service ($2). The tests run the program ($3) themselves, so the service is stopped again.
# A machine with Docker's own packages keeps them and its service.
served() {
    if installed "$1" || { [ -n "${3-}" ] && command -v "$3" >/dev/null; }; then return; fi
    if ! apt_install "$1"; then
        say "no $1: the tests that need it are skipped"
    elif [ -d /run/systemd/system ]; then
        as_root systemctl disable --quiet --now "$2" "$2.socket" 2>/dev/null || as_root systemctl disable --quiet --now "$2"
    else
        as_root "/etc/init.d/$2" stop >/dev/null 2>&1 || : it was not running
    fi
}

# One by one: the host may have a package from another source (Docker's containerd.io) that conflicts with Debian's.
engines() {
    for package in $ENGINES; do
        installed "$package" || command -v "$package" >/dev/null || apt_install "$package" ||
            say "no $package: the tests that need it are skipped"
    done
}

# Print the path of the interpreter itself, not of a version manager's shim, which would add 80 ms to each start.
interpreter() {
    for name in "${PYTHON:-python3}" python3 python3.11 python3.12 python3.13 python3.14; do
        "$name" -c 'import os, sys
sys.version_info >= (3, 11) or sys.exit(1)
print(os.path.realpath(sys._base_executable))' 2>/dev/null && return
    done
    fail "tinybox needs Python 3.11 or newer (on Debian: apt-get install python3)"
}

venv() {
    python=$(interpreter)
    if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
        apt_install "python$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')-venv"
    fi
    if ! "$1/bin/python" -c 'import pip' 2>/dev/null; then
        say "make a virtual environment with $python in $1"
        "$python" -m venv --clear "$1"
    fi
    say "install tinybox and its tools (pip install --editable .[dev])"
    # A new pip writes a console script that does not import re, which would add 8 ms to each start.
    "$1/bin/pip" install -qq --disable-pip-version-check --upgrade pip
    "$1/bin/pip" install -qq --disable-pip-version-check --editable '.[dev]'
    # setuptools installs a .pth file that runs at each start of Python; builds use their own copy of setuptools.
    "$1/bin/pip" uninstall -qq --disable-pip-version-check --yes setuptools
    say "the command is $1/bin/tinybox (make install links it into /usr/local/bin)"
}

# Tell if the file $1 is a link to a tinybox: only that one may be replaced and removed.
is_ours() {
    [ -L "$1" ] && [ "$(basename "$(readlink "$1")")" = tinybox ]
}

install() {
    if [ "${2-}" = 1 ]; then
        found=$(command -v docker || [ ! -e "$BIN/docker" ] || echo "$BIN/docker")
        [ -z "$found" ] || is_ours "$found" ||
            fail "$found is there already: remove that docker first, or leave DOCKER=1 out"
    fi
    say "link $1/tinybox and tinybox-oci into $BIN, with completion and manual pages"
    mkdir -p "$BIN"
    ln -sfn "$1/tinybox-oci" "$BIN/tinybox-oci"
    link tinybox "$1/tinybox"
    "$1/python" -m tools.manual_pages "$SHARE/man/man1"
    [ "${2-}" != 1 ] || { say "link it as $BIN/docker, too"; link docker "$1/tinybox"; }
}

# Link the command $2 as $1, with the completion for this name.
link() {
    ln -sfn "$2" "$BIN/$1"
    mkdir -p "$SHARE/bash-completion/completions" "$SHARE/zsh/site-functions" "$SHARE/fish/vendor_completions.d"
    "$BIN/$1" completion bash > "$SHARE/bash-completion/completions/$1"
    "$BIN/$1" completion zsh > "$SHARE/zsh/site-functions/_$1"
    "$BIN/$1" completion fish > "$SHARE/fish/vendor_completions.d/$1.fish"
}

uninstall() {
    say "remove tinybox from $PREFIX"
    for name in tinybox docker; do
        if is_ours "$BIN/$name"; then
            rm -f "$BIN/$name" "$SHARE/bash-completion/completions/$name" "$SHARE/zsh/site-functions/_$name" \
                "$SHARE/fish/vendor_completions.d/$name.fish"
        fi
    done
    rm -f "$SHARE"/man/man1/tinybox.1 "$SHARE"/man/man1/tinybox-*.1 "$BIN/tinybox-oci"
}

images() {
    command=$1
    shift
    for name in "$@"; do
        [ -n "$("$command" images -q "$name")" ] && continue
        [ -e "rootfs/$name.toml" ] || fail "there is no image $name and no recipe rootfs/$name.toml"
        say "make the image $name (tinybox pull $name)"
        "$command" pull "$name"
    done
}

verb=$1
shift
"$verb" "$@"
