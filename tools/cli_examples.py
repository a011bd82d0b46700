"""The examples of docs/cli.md: for each command its lines, what each shows, and whether it ends without a person.

A guard parses every line, and a test runs those that end by themselves. There the container ``web`` runs, ``job`` has
ended with status 3, both of the image ``busybox``; ``data`` is a volume, ``lab`` a network; site.tar.gz, page.html
and compose.yaml are files.
"""

from __future__ import annotations

from typing import NamedTuple


class Example(NamedTuple):
    """One line to type, and the sentence above it; *alone* is false where a terminal or a Ctrl-C is needed."""

    line: str
    says: str
    alone: bool = True


EXAMPLES = {
    "run": [
        Example("tinybox run --rm busybox echo hello", "A box that goes, with all it wrote, when its program ends."),
        Example("tinybox run --rm -it alpine sh", "A shell; on a terminal -it may be left out.", alone=False),
        Example(
            "tinybox run --rm -m 32m busybox sh -c 'head -c 128m /dev/zero | tail | wc -c'",
            "Who takes more memory than the limit is killed, and the status is 137.",
        ),
        Example(
            "tinybox run -d --name site -v data:/www --restart on-failure:3 busybox httpd -f -h /www",
            "In the background, with a volume, started again up to three times when it fails.",
        ),
        Example(
            "tinybox run --rm --read-only --tmpfs /tmp --cap-drop ALL --user 1000 busybox id",
            "As little as possible: nothing to write on but /tmp, no capability, not root.",
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
            "Stop before pivot_root(2); meanwhile `tinybox ns` and nsenter see the half-made box. q undoes it.",
            alone=False,
        ),
        Example(
            "tinybox run --rm --omit proc busybox ps",
            "What a wall is for shows when it is missing: no /proc, no processes; the host is protected meanwhile.",
        ),
        Example("tinybox run --dry-run busybox true", "The plan, step by step with its manual pages; done is nothing."),
    ],
    "explain": [
        Example("tinybox explain", "All steps that a plan can have."),
        Example("tinybox explain pivot_root", "One of them: the kernel's idea, the call, the lines of code."),
    ],
    "replay": [
        Example(
            "tinybox replay --step trace.json",
            "Yesterday's `run --explain=json -o trace.json`, without root; a key for each step.",
            alone=False,
        ),
        Example(
            "tinybox replay --html trace.html trace.json",
            "The page of it, for a browser without a network.",
            alone=False,
        ),
    ],
    "create": [
        Example("tinybox create --name later busybox echo hello", "All but the start; `tinybox start -a later` is it.")
    ],
    "start": [
        Example("tinybox start -a job", "Once more, with the output here and its exit status as ours."),
        Example("tinybox start job", "The same in the background."),
    ],
    "attach": [
        Example("tinybox attach web", "See what it says from now on; ctrl-p ctrl-q lets it alone.", alone=False),
        Example("tinybox attach --no-stdin --sig-proxy=false web", "Watch only: Ctrl-C ends it.", alone=False),
    ],
    "exec": [
        Example("tinybox exec web ps", "One more program in the box."),
        Example("tinybox exec -it web sh", "A shell in it.", alone=False),
        Example("tinybox exec -u 1000 -w /tmp -e NAME=value web env", "As another user, elsewhere, with a variable."),
    ],
    "stop": [
        Example("tinybox stop web", "The stop signal (TERM, if the image says nothing), and KILL after 10 seconds."),
        Example("tinybox stop -t 1 web", "With less patience."),
    ],
    "kill": [
        Example("tinybox kill -s HUP web", "Any signal to the first process, which passes it on to the program."),
        Example("tinybox kill web", "SIGKILL: the whole box ends at once."),
    ],
    "restart": [Example("tinybox restart -t 1 web", "Stop, then start: the files stay, the processes are new ones.")],
    "wait": [
        Example("tinybox wait job", "Print its exit status, when it has one; unknown, if nobody saw the end."),
    ],
    "pause": [Example("tinybox pause web", "Every process stands still where it is, and does not know it.")],
    "unpause": [Example("tinybox pause web && tinybox unpause web", "It goes on.")],
    "rename": [Example("tinybox rename web site", "The id stays.")],
    "update": [
        Example("tinybox update -m 64m --cpus 0.5 web", "Other limits for a box that runs, from now on."),
        Example("tinybox update --restart always web", "Another policy, from its next end on."),
    ],
    "rm": [
        Example("tinybox rm job", "Gone: the name, the files, the log."),
        Example("tinybox rm -fv web", "Also if it runs, and with the volumes that have no name."),
    ],
    "prune": [
        Example("tinybox prune --force", "All containers at rest, all images without a name."),
        Example("tinybox prune --force --volumes", "The anonymous volumes, too."),
    ],
    "ps": [
        Example("tinybox ps -a", "Those at rest, too."),
        Example("tinybox ps -a --filter exited=3 --format '{{.Names}}: {{.Status}}'", "Chosen, and in other words."),
        Example("tinybox ps -aq --filter status=exited", "Ids alone, for other commands."),
    ],
    "logs": [
        Example("tinybox logs --tail 5 -t web", "The last five lines, each with its time."),
        Example("tinybox logs -f --since 10m web", "From ten minutes ago on, and what is still to come.", alone=False),
    ],
    "top": [Example("tinybox top web", "Its processes, in the host's numbers.")],
    "stats": [
        Example("tinybox stats --no-stream", "What the running boxes use, once."),
        Example("tinybox stats web", "The same again and again, until Ctrl-C.", alone=False),
    ],
    "inspect": [
        Example("tinybox inspect web", "All that is known, as JSON."),
        Example("tinybox inspect -f '{{.State.Status}} {{.State.Pid}}' web", "Two words of it."),
    ],
    "events": [
        Example("tinybox events --since 1h --until 0s", "What has happened in the last hour."),
        Example("tinybox events --filter event=oom", "Wait for the next box that runs out of memory.", alone=False),
    ],
    "port": [Example("tinybox port web", "Nothing, for no port is published yet.")],
    "tree": [Example("tinybox tree web", "Who started whom: each process with both of its numbers.")],
    "ns": [
        Example("tinybox ns web", "The eight namespaces of host and box, and which of them differ."),
    ],
    "diff": [Example("tinybox exec web touch /tmp/new && tinybox diff web", "A: added, C: changed, D: deleted.")],
    "cp": [
        Example("tinybox cp page.html web:/tmp/", "Into the box."),
        Example("tinybox cp web:/etc/passwd - | tar -tf -", "Out of it, as an archive."),
    ],
    "export": [
        Example("tinybox export -o site.tar web", "All files as they are now, into a file."),
        Example("tinybox export job | tinybox import - flat:1", "An image of one layer from all that a box has."),
    ],
    "commit": [
        Example("tinybox commit -m 'with a page' web site:1", "What the box has changed, as one more layer."),
        Example('tinybox commit -c \'CMD ["httpd", "-f"]\' web site:2', "And with another program to start."),
    ],
    "oci": [
        Example("mkdir -p box && tinybox oci spec --bundle box", "A config.json in box, to stand beside a rootfs."),
        Example("tinybox oci run --bundle box first", "Run what it describes, as the container `first`.", alone=False),
        Example("tinybox oci --root /run/elsewhere list", "The containers of an engine that keeps them elsewhere."),
    ],
    "volume": [],
    "volume ls": [
        Example("tinybox volume ls", "Every volume, those without a name of their own included."),
        Example("tinybox volume ls -q --filter dangling=true", "Those that no container uses."),
    ],
    "volume create": [Example("tinybox volume create --label kind=cache pages", "Empty; `-v pages:/www` uses it.")],
    "volume rm": [Example("tinybox volume rm data", "With all that is in it.")],
    "volume inspect": [Example("tinybox volume inspect -f '{{.Mountpoint}}' data", "Where it lies on the host.")],
    "volume prune": [Example("tinybox volume prune --force", "The anonymous ones that nobody uses.")],
    "network": [],
    "network ls": [
        Example("tinybox network ls", "bridge, host and none are there always."),
        Example("tinybox network ls -q --filter type=custom", "The ids of those that somebody made."),
    ],
    "network create": [
        Example("tinybox network create inner --internal", "Boxes on it reach one another, and nothing else."),
        Example(
            "tinybox network create --subnet 10.99.0.0/24 --gateway 10.99.0.254 --ipv6 --opt mtu=1400 wide",
            "With a subnet of one's own, an IPv6 one beside it, and smaller packets.",
        ),
    ],
    "network connect": [
        Example("tinybox network connect --alias www lab web", "`web` has one more card now, and a name there.")
    ],
    "network disconnect": [Example("tinybox network disconnect bridge web", "It has one less, running or not.")],
    "network inspect": [
        Example("tinybox network inspect lab", "All that is known, with the boxes that are on it."),
        Example("tinybox network inspect -f '{{range .IPAM.Config}}{{.Subnet}}{{end}}' lab", "Its subnet alone."),
    ],
    "network show": [
        Example("tinybox network show bridge", "The picture for the board, from the kernel as it is now.")
    ],
    "network rm": [Example("tinybox network rm lab", "A network that a box is on stays.")],
    "network prune": [Example("tinybox network prune --force", "All networks that no box is on.")],
    "images": [
        Example("tinybox images", "What is in the store."),
        Example("tinybox images -q busybox", "One id; nothing, if there is no such image."),
    ],
    "pull": [Example("tinybox pull busybox", "By the recipe rootfs/busybox.toml; what is there already is kept.")],
    "import": [
        Example("tinybox import site.tar.gz site:2", "From a file, whatever it is compressed with."),
        Example("gzip -dc site.tar.gz | tinybox import - site:3", "From a pipe."),
    ],
    "save": [
        Example("tinybox save -o busybox.tar busybox", "For other tools: `skopeo copy oci-archive:busybox.tar ...`."),
        Example("tinybox save busybox | gzip > busybox.tar.gz", "Into a pipe."),
    ],
    "load": [
        Example(
            "tinybox save site -o site-image.tar && tinybox load -i site-image.tar", "Out, and in again.", alone=False
        ),
        Example("tinybox save site | tinybox load -q", "The same files, so the same image.", alone=False),
    ],
    "rmi": [
        Example("tinybox commit web site:1 && tinybox rmi site:1", "The name; with the last name the layers."),
    ],
    "doctor": [
        Example("tinybox doctor", "What this host offers, what it lacks, and what would cure that."),
        Example("tinybox doctor --fix --json > host.json", "First what dead commands have left is removed."),
    ],
    "lab": [],
    "lab list": [Example("tinybox lab list", "Each lab by its name, in the order of the lectures.")],
    "lab show": [
        Example("tinybox lab show pid", "The question, the idea and the control, without the answer."),
    ],
    "lab run": [
        Example("tinybox lab run pid", "Two views of one process, the evidence and a verdict."),
        Example("tinybox lab run --step pid", "For the room: predict, press Enter, look.", alone=False),
        Example("tinybox lab run --markdown pid.md pid", "A page to hand in."),
    ],
    "lab check": [Example("tinybox lab check pid", "The lab and its control, which has to come out the other way.")],
    "compose": [],
    "compose up": [
        Example("tinybox compose up -d", "What compose.yaml says, in the background; said again, nothing is done."),
        Example("tinybox compose up --wait --wait-timeout 20", "Return when all of it runs and is healthy."),
        Example("tinybox compose up", "In the foreground: what all say, line by line; Ctrl-C stops them.", alone=False),
    ],
    "compose down": [
        Example("tinybox compose up -d && tinybox compose down -v", "Containers, networks, and with -v the volumes."),
    ],
    "compose ps": [
        Example("tinybox compose up -d && tinybox compose ps -a", "The containers of this project."),
        Example("tinybox compose ps --format json", "For programs: docker compose's words, a line a container."),
    ],
    "compose logs": [
        Example("tinybox compose up -d && tinybox compose logs --tail 2", "Each line after the name of who said it."),
        Example(
            "tinybox compose logs -f --no-log-prefix clock", "One service, and what is still to come.", alone=False
        ),
    ],
    "compose port": [
        Example(
            "tinybox compose port web 80", "For `ports: [80]`: 0.0.0.0:49153, or whichever port it is.", alone=False
        ),
    ],
    "compose exec": [
        Example("tinybox compose up -d && tinybox compose exec -T clock ps", "A program in the box of a service."),
    ],
    "compose config": [
        Example("tinybox compose config", "The file as it is read: variables filled in, several files as one."),
        Example("tinybox compose config -q", "Is it right? Nothing, or the line that is not."),
    ],
    "compose stop": [
        Example("tinybox compose up -d && tinybox compose stop -t 1", "At rest; `tinybox compose start` goes on."),
    ],
    "compose start": [
        Example(
            "tinybox compose up -d && tinybox compose stop && tinybox compose start", "What is at rest, once more."
        ),
    ],
    "compose restart": [Example("tinybox compose up -d && tinybox compose restart clock", "One service anew.")],
    "completion": [
        Example("tinybox completion bash > bash.sh && . ./bash.sh", "For this bash; zsh reads it likewise."),
        Example("tinybox completion fish > tinybox.fish", "For fish, in ~/.config/fish/completions."),
    ],
}
