"""The examples of docs/cli.md: lines to type for each command, what each line shows, and whether it ends by itself.

A guard parses every line, and a test runs those that end by themselves. In that test the container ``web`` runs and
``job`` has ended with status 3, both of the image ``busybox``; ``data`` is a volume, ``lab`` a network; site.tar.gz,
page.html and compose.yaml are files.
"""

from __future__ import annotations

from tools.compose_examples import EXAMPLES as OF_COMPOSE
from tools.image_examples import EXAMPLES as OF_IMAGES
from tools.image_examples import Example

EXAMPLES = {
    "run": [
        Example(
            "tinybox run --rm busybox echo hello",
            "Run a program; --rm removes the box and its files when the program ends.",
        ),
        Example("tinybox run --rm -it alpine sh", "Run a shell; on a terminal, -it may be left out.", alone=False),
        Example(
            "tinybox run --rm -m 32m busybox sh -c 'head -c 128m /dev/zero | tail | wc -c'",
            "A program that takes more memory than the limit is killed, and the status is 137.",
        ),
        Example(
            "tinybox run -d --name site -v data:/www --restart on-failure:3 busybox httpd -f -h /www",
            "Run in the background, with a volume; restart up to three times when the program fails.",
        ),
        Example(
            "tinybox run --rm --read-only --tmpfs /tmp --cap-drop ALL --user 1000 busybox id",
            "Run with few rights: only /tmp is writable, no capabilities, not as root.",
        ),
        Example(
            "tinybox run --rm --explain busybox true",
            "Show each step as it happens, with its system calls and what they changed in the kernel.",
        ),
        Example(
            "tinybox run --rm --explain=html -o page.html alpine true",
            "Write a page for a lecture: the steps of parent and child, with the mounts and namespaces after each.",
        ),
        Example(
            "tinybox run --rm --break-at pivot_root alpine sh",
            "Stop before pivot_root(2), to inspect the unfinished box with `tinybox ns` or nsenter. q undoes it.",
            alone=False,
        ),
        Example(
            "tinybox run --rm --omit proc busybox ps",
            "Leave a step out to see what it is for: without /proc, ps shows no processes. The host stays protected.",
        ),
        Example("tinybox run --dry-run busybox true", "Print the plan with its manual pages; do nothing."),
    ],
    "watch": [
        Example(
            "tinybox watch web",
            "Show host and box side by side on this terminal, a look each second; q ends.",
            alone=False,
        ),
        Example("tinybox watch --html watch.html --looks 2 web", "Record two looks as a page that needs no server."),
        Example(
            "tinybox watch --serve web",
            "Print an address for a browser on this machine; Ctrl-C ends.",
            alone=False,
        ),
    ],
    "checkpoint create": [
        Example(
            "tinybox checkpoint create web before-lunch",
            "Keep the processes of web as files, and end them; `tinybox start --checkpoint before-lunch web` goes on.",
            alone=False,
        ),
    ],
    "checkpoint ls": [Example("tinybox checkpoint ls web", "List the checkpoints of web.")],
    "checkpoint rm": [Example("tinybox checkpoint rm web before-lunch", "Remove a checkpoint.", alone=False)],
    "explain": [
        Example("tinybox explain", "List all steps that a plan can have."),
        Example("tinybox explain pivot_root", "Explain one step: the kernel, the call, the code."),
    ],
    "replay": [
        Example(
            "tinybox replay --step trace.json",
            "Show a recorded `run --explain=json -o trace.json` again, without root; a key shows the next step.",
            alone=False,
        ),
        Example(
            "tinybox replay --html trace.html trace.json",
            "Write its HTML page, for a browser that needs no network.",
            alone=False,
        ),
    ],
    "create": [
        Example(
            "tinybox create --name later busybox echo hello", "Make a container; `tinybox start -a later` starts it."
        )
    ],
    "start": [
        Example("tinybox start -a job", "Start it again, with its output and status here."),
        Example("tinybox start job", "Start it again in the background."),
    ],
    "attach": [
        Example("tinybox attach web", "See its output; ctrl-p ctrl-q detaches.", alone=False),
        Example(
            "tinybox attach --no-stdin --sig-proxy=false web",
            "Only watch: Ctrl-C ends attach, not the box.",
            alone=False,
        ),
    ],
    "exec": [
        Example("tinybox exec web ps", "Run one more program in the box."),
        Example("tinybox exec -it web sh", "Run a shell in it.", alone=False),
        Example("tinybox exec -u 1000 -w /tmp -e NAME=value web env", "Choose user, directory and a variable."),
    ],
    "stop": [
        Example("tinybox stop web", "Send the image's stop signal, or TERM, and KILL after 10 seconds."),
        Example("tinybox stop -t 1 web", "Send KILL after 1 second."),
    ],
    "kill": [
        Example("tinybox kill -s HUP web", "Send a signal to the first process, which passes it on."),
        Example("tinybox kill web", "Send SIGKILL: the whole box ends at once."),
    ],
    "restart": [Example("tinybox restart -t 1 web", "Stop and start: the files stay, the processes are new.")],
    "wait": [
        Example("tinybox wait job", "Wait for its end and print its exit status; `unknown` if its monitor was killed.")
    ],
    "pause": [Example("tinybox pause web", "Freeze every process; the processes do not notice it.")],
    "unpause": [Example("tinybox pause web && tinybox unpause web", "Let it go on.")],
    "rename": [Example("tinybox rename web site", "Change the name; the id stays.")],
    "update": [
        Example("tinybox update -m 64m --cpus 0.5 web", "Change the limits of a running box, from now on."),
        Example("tinybox update --restart always web", "Change the restart policy, from its next end on."),
    ],
    "rm": [
        Example("tinybox rm job", "Remove the name, the files and the log."),
        Example("tinybox rm -fv web", "Kill a running one, and remove anonymous volumes, too."),
    ],
    "prune": [
        Example("tinybox prune --force", "Remove stopped containers, unused networks and nameless images."),
        Example("tinybox prune --force --volumes", "Remove anonymous volumes, too."),
    ],
    "ps": [
        Example("tinybox ps -a", "List containers that do not run, too."),
        Example(
            "tinybox ps -a --filter exited=3 --format '{{.Names}}: {{.Status}}'",
            "List only some of them, in another format.",
        ),
        Example("tinybox ps -aq --filter status=exited", "Print only ids, for other commands."),
    ],
    "logs": [
        Example("tinybox logs --tail 5 -t web", "Print the last five lines, each with its time."),
        Example("tinybox logs -f --since 10m web", "Print the last ten minutes, and new output.", alone=False),
    ],
    "top": [Example("tinybox top web", "List its processes, with their PIDs on the host.")],
    "stats": [
        Example("tinybox stats --no-stream", "Print once what the running boxes use."),
        Example("tinybox stats web", "Print it every second for one box, until Ctrl-C.", alone=False),
    ],
    "inspect": [
        Example("tinybox inspect web", "Print all details as JSON."),
        Example("tinybox inspect -f '{{.State.Status}} {{.State.Pid}}' web", "Print two values of them."),
    ],
    "events": [
        Example("tinybox events --since 1h --until 0s", "Show the events of the last hour."),
        Example("tinybox events --filter event=oom", "Wait for the next box that runs out of memory.", alone=False),
    ],
    "port": [Example("tinybox port web", "Print nothing, because no port is published.")],
    "tree": [Example("tinybox tree web", "Show each process below its parent, with both PIDs.")],
    "unshare": [
        Example(
            "tinybox unshare ls -l ~/.local/share/tinybox/volumes/data/_data", "Show the owners as boxes see them."
        ),
    ],
    "ns": [Example("tinybox ns web", "Compare the eight namespaces of host and box.")],
    "diff": [Example("tinybox exec web touch /tmp/new && tinybox diff web", "A: added, C: changed, D: deleted.")],
    "cp": [
        Example("tinybox cp page.html web:/tmp/", "Copy a file into the box."),
        Example("tinybox cp web:/etc/passwd - | tar -tf -", "Copy a file out of the box, as an archive."),
    ],
    "export": [
        Example("tinybox export -o site.tar web", "Write all files as they are now into an archive."),
        Example("tinybox export job | tinybox import - flat:1", "Make an image of one layer from a box."),
    ],
    "commit": [
        Example("tinybox commit -m 'with a page' web site:1", "Make an image; the changes are one more layer."),
        Example('tinybox commit -c \'CMD ["httpd", "-f"]\' web site:2', "The same, with another program to start."),
    ],
    "oci": [
        Example("mkdir -p box && tinybox oci spec --bundle box", "Write a config.json; a rootfs belongs beside it."),
        Example("tinybox oci run --bundle box first", "Run the bundle as the container `first`.", alone=False),
        Example("tinybox oci --root /run/elsewhere list", "List the containers of another root."),
    ],
    "volume": [],
    "volume ls": [
        Example("tinybox volume ls", "List every volume, anonymous ones, too."),
        Example("tinybox volume ls -q --filter dangling=true", "Name those that no container uses."),
    ],
    "volume create": [
        Example("tinybox volume create --label kind=cache pages", "Make one; `-v pages:/www` mounts it.")
    ],
    "volume rm": [Example("tinybox volume rm data", "Remove it with all its files.")],
    "volume inspect": [Example("tinybox volume inspect -f '{{.Mountpoint}}' data", "Print its directory on the host.")],
    "volume prune": [Example("tinybox volume prune --force", "Remove unused anonymous volumes.")],
    "network": [],
    "network ls": [
        Example("tinybox network ls", "List all networks; bridge, host and none always exist."),
        Example("tinybox network ls -q --filter type=custom", "Print the ids of your own networks."),
    ],
    "network create": [
        Example("tinybox network create inner --internal", "Its boxes reach one another, and nothing else."),
        Example(
            "tinybox network create --subnet 10.99.0.0/24 --gateway 10.99.0.254 --ipv6 --opt mtu=1400 wide",
            "Choose subnet, gateway and packet size, and add an IPv6 subnet.",
        ),
    ],
    "network connect": [
        Example("tinybox network connect --alias www lab web", "Give `web` one more interface and a name there.")
    ],
    "network disconnect": [Example("tinybox network disconnect bridge web", "Take this interface away again.")],
    "network inspect": [
        Example("tinybox network inspect lab", "Print all details and the connected boxes."),
        Example("tinybox network inspect -f '{{range .IPAM.Config}}{{.Subnet}}{{end}}' lab", "Print only its subnet."),
    ],
    "network show": [Example("tinybox network show bridge", "Draw the network as it is in the kernel now.")],
    "network rm": [Example("tinybox network rm lab", "Remove a network; one with a box connected to it stays.")],
    "network prune": [Example("tinybox network prune --force", "Remove all networks without a box.")],
    "version": [
        Example("tinybox version", "Show the versions of tinybox and of the kernel."),
        Example("tinybox version -f '{{.Server.Version}}'", "Print one of them, for a script."),
    ],
    "info": [
        Example("tinybox info", "Show what the store holds, and what this host can limit."),
        Example("tinybox info -f '{{.ContainersRunning}} of {{.Containers}}'", "Count the containers."),
    ],
    "doctor": [
        Example("tinybox doctor", "Show what this host offers and lacks, and the cure."),
        Example("tinybox doctor --fix --json > host.json", "Remove the leftovers of killed commands first."),
    ],
    "lab": [],
    "lab list": [Example("tinybox lab list", "List the names of the labs, in the order of the lectures.")],
    "lab show": [Example("tinybox lab show pid", "Print the question, the idea and the control, without the answer.")],
    "lab run": [
        Example("tinybox lab run pid", "Run a lab; print the evidence and a verdict."),
        Example("tinybox lab run --step pid", "Type a prediction, press Enter, compare.", alone=False),
        Example("tinybox lab run --hold pid", "Look at the box of the lab, until Enter.", alone=False),
        Example("tinybox lab run --markdown pid.md pid", "Write a page to hand in."),
        Example(
            "tinybox lab run --html epoll.html epoll",
            "Write a page with curves of what was measured, to show in a room.",
        ),
        Example("tinybox lab run --html labs pid fork", "Write a page for each lab, and labs/index.html.", alone=False),
    ],
    "lab report": [
        Example(
            "tinybox lab run --json pid > ana.json; tinybox lab report -o room.html ana.json",
            "Make one page of the results that students hand in.",
        ),
    ],
    "lab new": [
        Example("tinybox lab new --lab-dir labs two-clocks", "Write a lab of your own to begin with.", alone=False)
    ],
    "lab check": [
        Example("tinybox lab check pid", "Run the lab and its control, which must give the opposite result.")
    ],
    "workshop": [],
    "workshop new": [Example("tinybox workshop new course", "Lay out the levels in the directory course.")],
    "workshop list": [Example("tinybox workshop list", "List the levels, and which of them have passed here.")],
    "workshop show": [
        Example("tinybox workshop show 1", "Read what the kernel does, and what there is to do."),
        Example("tinybox workshop show --hint 1", "Show one more hint.", alone=False),
    ],
    "workshop check": [
        Example("tinybox workshop check 1", "Check your program; a sentence says what is missing.", alone=False),
        Example("tinybox workshop check", "Go on: check the first level that has not passed.", alone=False),
    ],
    "workshop solution": [Example("tinybox workshop solution 2", "Print a program that passes.")],
    "exercise": [],
    "exercise list": [Example("tinybox exercise list", "List the exercises, and which of them are started or passed.")],
    "exercise start": [
        Example("tinybox exercise start --seed 7 hidden-file", "Make the box of this exercise, and read the task."),
        Example("tinybox exercise start --again hidden-file", "Make it again, with the same numbers.", alone=False),
    ],
    "exercise show": [Example("tinybox exercise show hidden-file", "Read what it is about; if started, the task.")],
    "exercise hint": [Example("tinybox exercise hint hidden-file", "Show one more hint.", alone=False)],
    "exercise check": [
        Example("tinybox exercise check hidden-file WORD", "Check an answer: 0 if it is right, else 1.", alone=False),
        Example("tinybox exercise check zombies", "Check what you have changed in the box.", alone=False),
    ],
    "exercise solution": [
        Example("tinybox exercise solution hidden-file", "Print a solution; the results note it.", alone=False)
    ],
    "exercise end": [Example("tinybox exercise end --all", "Remove all boxes of exercises; the results stay.")],
    "exercise report": [
        Example("tinybox exercise report > answers.md", "Write a page to hand in."),
        Example("tinybox exercise report --json", "Print all results with seeds, times and evidence."),
    ],
    "completion": [
        Example("tinybox completion bash > bash.sh && . ./bash.sh", "Turn completion on in bash; the same in zsh."),
        Example("tinybox completion fish > tinybox.fish", "For fish, in ~/.config/fish/completions."),
    ],
} | OF_IMAGES
EXAMPLES |= OF_COMPOSE
