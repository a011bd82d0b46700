"""The examples of docs/cli.md: for each command its lines, a sentence for each, and whether it ends by itself.

A guard parses every line, and a test runs those that end by themselves. In the test the container ``web`` runs, and
``job`` has ended with status 3, both of the image ``busybox``; ``data`` is a volume, ``lab`` a network; site.tar.gz,
page.html and compose.yaml are files.
"""

from __future__ import annotations

from typing import NamedTuple


class Example(NamedTuple):
    """One line to type, and the sentence above it; *alone* is false if it needs a terminal or Ctrl-C."""

    line: str
    says: str
    alone: bool = True


EXAMPLES = {
    "run": [
        Example("tinybox run --rm busybox echo hello", "A box that is removed when its program ends."),
        Example("tinybox run --rm -it alpine sh", "A shell; on a terminal -it may be left out.", alone=False),
        Example(
            "tinybox run --rm -m 32m busybox sh -c 'head -c 128m /dev/zero | tail | wc -c'",
            "A program that takes more memory than the limit is killed, and the status is 137.",
        ),
        Example(
            "tinybox run -d --name site -v data:/www --restart on-failure:3 busybox httpd -f -h /www",
            "In the background, with a volume; started again up to three times if the program fails.",
        ),
        Example(
            "tinybox run --rm --read-only --tmpfs /tmp --cap-drop ALL --user 1000 busybox id",
            "As few rights as possible: only /tmp can be written, no capabilities, not root.",
        ),
        Example(
            "tinybox run --rm --explain busybox true",
            "Each step as it happens, with its system calls and what they changed in the kernel.",
        ),
        Example(
            "tinybox run --rm --explain=html -o page.html alpine true",
            "A page for the projector: two lanes of steps, and the mounts and namespaces after each; arrow keys.",
        ),
        Example(
            "tinybox run --rm --break-at pivot_root alpine sh",
            "Stop before pivot_root(2); then `tinybox ns` and nsenter can inspect the half-made box. q undoes it.",
            alone=False,
        ),
        Example(
            "tinybox run --rm --omit proc busybox ps",
            "Leave the step out that mounts /proc: ps sees no processes. The host is protected.",
        ),
        Example("tinybox run --dry-run busybox true", "Print the plan and do nothing."),
    ],
    "explain": [
        Example("tinybox explain", "All steps that a plan can have."),
        Example("tinybox explain pivot_root", "One step: what the kernel does, the system call, the lines of code."),
    ],
    "replay": [
        Example(
            "tinybox replay --step trace.json",
            "Show the trace of an earlier `run --explain=json -o trace.json`, without root; a key for each step.",
            alone=False,
        ),
        Example(
            "tinybox replay --html trace.html trace.json",
            "The trace as a page, for a browser without a network.",
            alone=False,
        ),
    ],
    "create": [
        Example("tinybox create --name later busybox echo hello", "Only make it; `tinybox start -a later` starts it.")
    ],
    "start": [
        Example("tinybox start -a job", "Run it once more, show its output, and end with its exit status."),
        Example("tinybox start job", "The same in the background."),
    ],
    "attach": [
        Example("tinybox attach web", "Show its output from now on; ctrl-p ctrl-q detaches.", alone=False),
        Example(
            "tinybox attach --no-stdin --sig-proxy=false web",
            "Only show the output: Ctrl-C ends the command, not the box.",
            alone=False,
        ),
    ],
    "exec": [
        Example("tinybox exec web ps", "Run another program in the box."),
        Example("tinybox exec -it web sh", "Run a shell in it.", alone=False),
        Example("tinybox exec -u 1000 -w /tmp -e NAME=value web env", "With another user, directory and variable."),
    ],
    "stop": [
        Example("tinybox stop web", "Send the stop signal (by default TERM), and KILL after 10 seconds."),
        Example("tinybox stop -t 1 web", "Send KILL after one second."),
    ],
    "kill": [
        Example("tinybox kill -s HUP web", "Send a signal to the first process, which passes it on to the program."),
        Example("tinybox kill web", "SIGKILL: the whole box ends at once."),
    ],
    "restart": [Example("tinybox restart -t 1 web", "Stop and start it: the files stay, the processes are new.")],
    "wait": [
        Example("tinybox wait job", "Print its exit status when it has ended; `unknown` if its monitor was killed."),
    ],
    "pause": [Example("tinybox pause web", "Freeze every process; the processes do not notice it.")],
    "unpause": [Example("tinybox pause web && tinybox unpause web", "Its processes go on.")],
    "rename": [Example("tinybox rename web site", "Give it another name; the id stays.")],
    "update": [
        Example("tinybox update -m 64m --cpus 0.5 web", "Change the limits of a running box."),
        Example("tinybox update --restart always web", "Change the restart policy; it applies when the program ends."),
    ],
    "rm": [
        Example("tinybox rm job", "Remove the name, the files and the log."),
        Example("tinybox rm -fv web", "Also if it runs, and with its anonymous volumes."),
    ],
    "prune": [
        Example("tinybox prune --force", "Remove all containers at rest, and all images without a name."),
        Example("tinybox prune --force --volumes", "Remove the anonymous volumes, too."),
    ],
    "ps": [
        Example("tinybox ps -a", "List containers at rest, too."),
        Example("tinybox ps -a --filter exited=3 --format '{{.Names}}: {{.Status}}'", "With a filter and a format."),
        Example("tinybox ps -aq --filter status=exited", "Print only ids, for other commands."),
    ],
    "logs": [
        Example("tinybox logs --tail 5 -t web", "The last five lines, each with its time."),
        Example("tinybox logs -f --since 10m web", "The last ten minutes, and new lines as they come.", alone=False),
    ],
    "top": [Example("tinybox top web", "Its processes, with their pids on the host.")],
    "stats": [
        Example("tinybox stats --no-stream", "Print once what the running boxes use."),
        Example("tinybox stats web", "Print it again and again, until Ctrl-C.", alone=False),
    ],
    "inspect": [
        Example("tinybox inspect web", "Print all data about the container, as JSON."),
        Example("tinybox inspect -f '{{.State.Status}} {{.State.Pid}}' web", "Print two values of it."),
    ],
    "events": [
        Example("tinybox events --since 1h --until 0s", "Print the events of the last hour."),
        Example("tinybox events --filter event=oom", "Wait for the next box that runs out of memory.", alone=False),
    ],
    "port": [Example("tinybox port web", "Print the published ports; this box has none.")],
    "tree": [Example("tinybox tree web", "The process tree: each process with its pid on the host and in the box.")],
    "ns": [
        Example("tinybox ns web", "The eight namespaces of host and box, and which of them differ."),
    ],
    "diff": [Example("tinybox exec web touch /tmp/new && tinybox diff web", "A: added, C: changed, D: deleted.")],
    "cp": [
        Example("tinybox cp page.html web:/tmp/", "Copy a file into the box."),
        Example("tinybox cp web:/etc/passwd - | tar -tf -", "Copy a file out of the box, as an archive."),
    ],
    "export": [
        Example("tinybox export -o site.tar web", "Write all files of the box into an archive."),
        Example("tinybox export job | tinybox import - flat:1", "Make an image of one layer from all files of a box."),
    ],
    "commit": [
        Example("tinybox commit -m 'with a page' web site:1", "Make an image; the changes are one more layer."),
        Example('tinybox commit -c \'CMD ["httpd", "-f"]\' web site:2', "The same, with another default command."),
    ],
    "oci": [
        Example(
            "mkdir -p box && tinybox oci spec --bundle box",
            "Write box/config.json, for a rootfs beside it.",
        ),
        Example("tinybox oci run --bundle box first", "Run the bundle as the container `first`.", alone=False),
        Example("tinybox oci --root /run/elsewhere list", "List the containers of an engine with another root."),
    ],
    "volume": [],
    "volume ls": [
        Example("tinybox volume ls", "List all volumes, the anonymous ones, too."),
        Example("tinybox volume ls -q --filter dangling=true", "List the volumes that no container uses."),
    ],
    "volume create": [
        Example("tinybox volume create --label kind=cache pages", "Make an empty volume; `-v pages:/www` uses it.")
    ],
    "volume rm": [Example("tinybox volume rm data", "Remove the volume and all its files.")],
    "volume inspect": [Example("tinybox volume inspect -f '{{.Mountpoint}}' data", "Its directory on the host.")],
    "volume prune": [Example("tinybox volume prune --force", "Remove the anonymous volumes that no container uses.")],
    "network": [],
    "network ls": [
        Example("tinybox network ls", "The networks bridge, host and none always exist."),
        Example("tinybox network ls -q --filter type=custom", "The ids of the networks made by `network create`."),
    ],
    "network create": [
        Example("tinybox network create inner --internal", "Boxes on it reach one another, and no other host."),
        Example(
            "tinybox network create --subnet 10.99.0.0/24 --gateway 10.99.0.254 --ipv6 --opt mtu=1400 wide",
            "With a chosen subnet, an IPv6 subnet, and a smaller MTU.",
        ),
    ],
    "network connect": [
        Example("tinybox network connect --alias www lab web", "Give `web` another interface, and a name there.")
    ],
    "network disconnect": [
        Example("tinybox network disconnect bridge web", "Remove an interface from `web`, running or not.")
    ],
    "network inspect": [
        Example("tinybox network inspect lab", "All data about the network, with the boxes on it."),
        Example("tinybox network inspect -f '{{range .IPAM.Config}}{{.Subnet}}{{end}}' lab", "Only its subnet."),
    ],
    "network show": [Example("tinybox network show bridge", "Draw the network as it is in the kernel now.")],
    "network rm": [Example("tinybox network rm lab", "Remove the network; it fails if a box is on it.")],
    "network prune": [Example("tinybox network prune --force", "Remove all networks that no box is on.")],
    "images": [
        Example("tinybox images", "List the images in the store."),
        Example("tinybox images -q busybox", "Print the id of an image; nothing, if there is no such image."),
    ],
    "pull": [Example("tinybox pull busybox", "Make the image by its recipe rootfs/busybox.toml, if it is not there.")],
    "import": [
        Example("tinybox import site.tar.gz site:2", "From a file: plain, gzip, xz or zstd."),
        Example("gzip -dc site.tar.gz | tinybox import - site:3", "From a pipe."),
    ],
    "save": [
        Example("tinybox save -o busybox.tar busybox", "For other tools: `skopeo copy oci-archive:busybox.tar ...`."),
        Example("tinybox save busybox | gzip > busybox.tar.gz", "To a pipe."),
    ],
    "load": [
        Example(
            "tinybox save site -o site-image.tar && tinybox load -i site-image.tar", "Save and load it.", alone=False
        ),
        Example("tinybox save site | tinybox load -q", "The same files, so the same image.", alone=False),
    ],
    "rmi": [
        Example("tinybox commit web site:1 && tinybox rmi site:1", "Remove the name; with the last name, the layers."),
    ],
    "doctor": [
        Example("tinybox doctor", "What this host has, what it lacks, and a cure for each problem."),
        Example("tinybox doctor --fix --json > host.json", "First remove what killed commands have left."),
    ],
    "lab": [],
    "lab list": [Example("tinybox lab list", "List the labs, in the order of the lectures.")],
    "lab show": [
        Example("tinybox lab show pid", "The question, the idea and the control, without the answer."),
    ],
    "lab run": [
        Example("tinybox lab run pid", "Two views of one process, the evidence and a verdict."),
        Example("tinybox lab run --step pid", "For a lecture: predict, press Enter, look.", alone=False),
        Example("tinybox lab run --markdown pid.md pid", "Write a page for a hand-in."),
    ],
    "lab check": [Example("tinybox lab check pid", "Run the lab and its control, which must have another result.")],
    "compose": [],
    "compose up": [
        Example("tinybox compose up -d", "Start all services in the background; a second `up` does nothing."),
        Example("tinybox compose up --wait --wait-timeout 20", "Return when all services run and are healthy."),
        Example("tinybox compose up", "In the foreground, with the output of all; Ctrl-C stops them.", alone=False),
    ],
    "compose down": [
        Example(
            "tinybox compose up -d && tinybox compose down -v",
            "Remove containers, networks, and volumes (-v).",
        ),
    ],
    "compose ps": [
        Example("tinybox compose up -d && tinybox compose ps -a", "The containers of this project."),
        Example("tinybox compose ps --format json", "For programs: docker compose's keys, a line for each container."),
    ],
    "compose logs": [
        Example(
            "tinybox compose up -d && tinybox compose logs --tail 2", "Each line begins with the name of its container."
        ),
        Example(
            "tinybox compose logs -f --no-log-prefix clock", "One service, and new lines as they come.", alone=False
        ),
    ],
    "compose port": [
        Example("tinybox compose port web 80", "For `ports: [80]`: prints, for example, 0.0.0.0:49153.", alone=False),
    ],
    "compose exec": [
        Example("tinybox compose up -d && tinybox compose exec -T clock ps", "Run a program in the box of a service."),
    ],
    "compose config": [
        Example(
            "tinybox compose config",
            "Print the file with variables replaced and files merged.",
        ),
        Example("tinybox compose config -q", "Check the file: print nothing, or the line with the error."),
    ],
    "compose stop": [
        Example(
            "tinybox compose up -d && tinybox compose stop -t 1",
            "Stop all; `tinybox compose start` starts them again.",
        ),
    ],
    "compose start": [
        Example(
            "tinybox compose up -d && tinybox compose stop && tinybox compose start", "Start the stopped services."
        ),
    ],
    "compose restart": [Example("tinybox compose up -d && tinybox compose restart clock", "Restart one service.")],
    "completion": [
        Example("tinybox completion bash > bash.sh && . ./bash.sh", "For this bash; zsh can read it in the same way."),
        Example("tinybox completion fish > tinybox.fish", "For fish, in ~/.config/fish/completions."),
    ],
}
