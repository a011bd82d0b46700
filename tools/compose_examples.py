"""The examples of docs/cli.md for `tinybox compose`; see cli_examples.py. In its file is one service, ``clock``."""

from __future__ import annotations

from tools.image_examples import Example

EXAMPLES = {
    "compose": [],
    "compose up": [
        Example("tinybox compose up -d", "Start all services in the background; a second time, nothing is done."),
        Example("tinybox compose up --wait --wait-timeout 20", "Return when all services run and are healthy."),
        Example("tinybox compose up --dry-run --scale clock=2", "Print what it would make and start."),
        Example("tinybox compose up", "Show the output of all services; Ctrl-C stops them.", alone=False),
    ],
    "compose scale": [
        Example("tinybox compose scale clock=2", "Let a service have two containers, clock-1 and clock-2.")
    ],
    "compose ps": [
        Example("tinybox compose ps -a", "List the containers of this project."),
        Example("tinybox compose ps --format json", "For programs: docker compose's JSON, a line for each container."),
        Example("tinybox compose ps --status running --services", "Print the services that run."),
    ],
    "compose ls": [Example("tinybox compose ls -a", "List all projects, with the states of their containers.")],
    "compose images": [Example("tinybox compose images", "List the images of the project's containers.")],
    "compose volumes": [Example("tinybox compose volumes -q", "Print the names of the project's volumes.")],
    "compose top": [Example("tinybox compose top", "List the processes of all services.")],
    "compose stats": [Example("tinybox compose stats --no-stream", "Show once what the services use.")],
    "compose logs": [
        Example("tinybox compose logs --tail 2 --since 1h", "Print lines, each after its container's name."),
        Example(
            "tinybox compose logs -f --no-log-prefix clock", "Print and follow the output of one service.", alone=False
        ),
    ],
    "compose events": [
        Example("tinybox compose events --since 1h --until 0s", "Print the events of the last hour."),
        Example("tinybox compose events --json", "For programs: an object for each event, as it happens.", alone=False),
    ],
    "compose exec": [
        Example("tinybox compose exec -T clock ps", "Run a program in a service's box."),
        Example("tinybox compose exec --index 2 -T clock hostname", "Run it in the second box."),
    ],
    "compose run": [
        Example(
            "tinybox compose run --rm clock date", "Run a program in a new box of a service, which is removed then."
        ),
        Example("tinybox compose run --rm --no-deps -e DEBUG=1 web sh", "Get a shell in one.", alone=False),
    ],
    "compose cp": [
        Example("tinybox compose cp page.html clock:/tmp/", "Copy a file into all boxes of a service."),
        Example("tinybox compose cp clock:/etc/passwd users", "Copy a file from its first box."),
    ],
    "compose commit": [Example("tinybox compose commit clock kept:1", "Make an image of a box.")],
    "compose export": [Example("tinybox compose export -o clock.tar clock", "Write its files to an archive.")],
    "compose attach": [
        Example("tinybox compose attach clock", "Follow the output, with ctrl-p ctrl-q to leave.", alone=False)
    ],
    "compose port": [
        Example("tinybox compose port web 80", "For `ports: [80]`: 0.0.0.0:49153, or another port.", alone=False)
    ],
    "compose pause": [Example("tinybox compose pause clock", "Freeze the processes of a service.")],
    "compose unpause": [Example("tinybox compose unpause", "Let all services go on.")],
    "compose restart": [Example("tinybox compose restart -t 1 clock", "Restart one service.")],
    "compose stop": [Example("tinybox compose stop -t 1", "Stop the services, but keep their containers.")],
    "compose start": [Example("tinybox compose start", "Start stopped services again.")],
    "compose kill": [Example("tinybox compose kill -s TERM", "Send a signal to all services.")],
    "compose wait": [
        Example("tinybox compose wait clock", "Wait for its end; the status is the container's.", alone=False)
    ],
    "compose rm": [Example("tinybox compose rm -fs", "Stop and remove the containers, without a question.")],
    "compose create": [Example("tinybox compose create --force-recreate", "Make the containers, but start none.")],
    "compose down": [
        Example("tinybox compose down -v", "Remove the containers, the networks, and with -v the volumes.")
    ],
    "compose build": [Example("tinybox compose build --no-cache", "Build the images of services with a build key.")],
    "compose pull": [Example("tinybox compose pull --policy missing", "Bring the images that are not here yet.")],
    "compose push": [
        Example("tinybox compose push web", "Send a service's image to the registry in its name.", alone=False)
    ],
    "compose config": [
        Example("tinybox compose config", "Print the merged file in its canonical form, with its variables filled in."),
        Example("tinybox compose config -q", "Check the file; print only the wrong line."),
        Example("tinybox compose config --images", "Print the names of the images that it uses."),
    ],
    "compose watch": [
        Example("tinybox compose watch web", "Bring changes of files into the boxes, until Ctrl-C.", alone=False)
    ],
    "compose version": [Example("tinybox compose version --short", "Print the version that scripts compare.")],
}
