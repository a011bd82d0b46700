#!/bin/sh
# Make this machine a node of a Docker Swarm whose default runtime is tinybox. Run it as root, after vm/provision.sh; the
# Vagrantfile does so with NODES=3. Each verb does only what is missing.
#
#   swarm.sh engine                install docker, with tinybox as its default runtime
#   swarm.sh manager ADDRESS       start a Swarm on this machine, which is its manager
#   swarm.sh token                 print the secret with which other machines join (on the manager)
#   swarm.sh join ADDRESS TOKEN    join the Swarm of the manager at ADDRESS
#
# More words after those of manager and join are options of `docker swarm init` and `docker swarm join`.
set -eu

SETTINGS=/etc/docker/daemon.json

fail() { echo "swarm: $*" >&2; exit 1; }

engine() {
    command -v tinybox-oci >/dev/null || fail "there is no tinybox-oci; run vm/provision.sh first"
    if ! command -v dockerd >/dev/null || ! command -v docker >/dev/null; then
        client=$(apt-cache show docker-cli >/dev/null 2>&1 && echo docker-cli || :) # a package of its own in Debian 13
        apt-get -qq update
        # shellcheck disable=SC2086  # nothing, or one package
        DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends install docker.io $client >/dev/null
    fi
    [ ! -e "$SETTINGS" ] || { grep -q tinybox "$SETTINGS" && return; fail "$SETTINGS is there already: add tinybox to it"; }
    mkdir -p "${SETTINGS%/*}"
    cat > "$SETTINGS" <<END
{
  "runtimes": {"tinybox": {"path": "$(command -v tinybox-oci)"}},
  "default-runtime": "tinybox",
  "exec-opts": ["native.cgroupdriver=cgroupfs"]
}
END
    systemctl restart docker
}

is_in() {
    [ "$(docker info --format '{{.Swarm.LocalNodeState}}')" = active ]
}

manager() {
    address=$1
    shift
    is_in || docker swarm init --advertise-addr "$address" "$@" >/dev/null
}

token() {
    docker swarm join-token -q worker
}

join() {
    address=$1 secret=$2
    shift 2
    is_in || docker swarm join --token "$secret" "$@" "$address:2377"
}

verb=${1-}
case $verb in
engine | manager | token | join) ;;
*) fail "engine, manager, token or join is missing; see the first lines of vm/swarm.sh" ;;
esac
shift
"$verb" "$@"
