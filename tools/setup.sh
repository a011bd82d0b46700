#!/bin/sh
# Set up what tinybox stands on. Each verb does only what is missing, and says what it does.
#
#   setup.sh packages [KIND]         the Debian packages, with those of a KIND: test (what the tests use), lecture (what a
#                                    machine for the lecture has besides), lecture-test (what the tests of that need)
#   setup.sh venv DIR                a virtual environment with the command, editable, and the developers' tools
#   setup.sh install DIR             the command of DIR for everyone on this host, with completion and manual pages (root)
#   setup.sh images COMMAND NAME...  the images in the store (root)
set -eu
cd "$(dirname "$0")/.."

say() { echo "set-up: $*"; }
fail() { echo "set-up: $*" >&2; exit 1; }

# What for: the firewall of boxes; the image busybox; the disk that carries Alpine is converted by qemu-img and read by
# debugfs; pip trusts the system's certificates.
PACKAGES="nftables busybox-static qemu-utils e2fsprogs ca-certificates"
# What the tests compare tinybox with: other programs for links, calls, terminals and archives, the kernel's own headers,
# the OCI specification's schemas; and the machine with cgroup v2 alone, for which tests/vm fetches a kernel itself.
case $(uname -m) in aarch64) QEMU=qemu-system-arm ;; *) QEMU=qemu-system-x86 ;; esac
TEST_PACKAGES="iproute2 curl strace tmux chromium fonts-dejavu-core zstd linux-libc-dev skopeo $QEMU golang-github-opencontainers-specs-dev sudo"
# The engines that run on tinybox-oci in the tests, with what they need, and the runtimes that they are compared on.
ENGINES="podman buildah containerd runc crun catatonit containernetworking-plugins iptables"
# What makes a machine from nothing one for the lecture (vm/provision.sh), and what tests that.
LECTURE_PACKAGES="python3-venv bash-completion man-db"
LECTURE_TEST_PACKAGES="vagrant debootstrap"

# Where everyone's shell and man(1) look for what no package brought.
SHARE=/usr/local/share

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
    esac
    command -v dpkg-query >/dev/null || { say "this is no Debian: please see that there are $PACKAGES"; return; }
    missing=
    for package in $PACKAGES; do
        installed "$package" || missing="$missing $package"
    done
    # shellcheck disable=SC2086  # a list of words
    [ -z "$missing" ] || apt_install $missing
    [ "${1-}" != test ] || engines
}

# One by one: a host may have one from elsewhere (Docker's containerd.io), beside which Debian's cannot be installed.
engines() {
    for package in $ENGINES; do
        installed "$package" || command -v "$package" >/dev/null || apt_install "$package" ||
            say "no $package: the tests that need it are skipped"
    done
}

# The interpreter itself, never a version manager's shim, which would cost each start of the command 80 ms.
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
        say "a virtual environment with $python in $1"
        "$python" -m venv --clear "$1"
    fi
    say "tinybox and its tools (pip install --editable .[dev])"
    # A new pip writes a console script that does not import re, 8 ms of each start.
    "$1/bin/pip" install -qq --disable-pip-version-check --upgrade pip
    "$1/bin/pip" install -qq --disable-pip-version-check --editable '.[dev]'
    # setuptools leaves a .pth file that each start of Python runs; builds use a copy of their own.
    "$1/bin/pip" uninstall -qq --disable-pip-version-check --yes setuptools
    say "the command is $1/bin/tinybox (make install links it into /usr/local/bin)"
}

install() {
    say "$1/tinybox and tinybox-oci in /usr/local/bin, with completion and manual pages"
    ln -sfn "$1/tinybox" /usr/local/bin/tinybox
    ln -sfn "$1/tinybox-oci" /usr/local/bin/tinybox-oci
    mkdir -p "$SHARE/bash-completion/completions" "$SHARE/zsh/site-functions" "$SHARE/fish/vendor_completions.d"
    "$1/tinybox" completion bash > "$SHARE/bash-completion/completions/tinybox"
    "$1/tinybox" completion zsh > "$SHARE/zsh/site-functions/_tinybox"
    "$1/tinybox" completion fish > "$SHARE/fish/vendor_completions.d/tinybox.fish"
    "$1/python" -m tools.manual_pages "$SHARE/man/man1"
}

uninstall() {
    say "no more tinybox in /usr/local"
    rm -f "$SHARE/bash-completion/completions/tinybox" "$SHARE/zsh/site-functions/_tinybox" \
        "$SHARE/fish/vendor_completions.d/tinybox.fish" "$SHARE"/man/man1/tinybox.1 "$SHARE"/man/man1/tinybox-*.1 \
        /usr/local/bin/tinybox /usr/local/bin/tinybox-oci
}

images() {
    command=$1
    shift
    for name in "$@"; do
        [ -n "$("$command" images -q "$name")" ] && continue
        [ -e "rootfs/$name.toml" ] || fail "there is no image $name and no recipe rootfs/$name.toml"
        say "the image $name (tinybox pull $name)"
        "$command" pull "$name"
    done
}

verb=$1
shift
"$verb" "$@"
