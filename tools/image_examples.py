"""The examples of docs/cli.md for the commands about images; see cli_examples.py."""

from __future__ import annotations

from typing import NamedTuple


class Example(NamedTuple):
    """One line to type, and the sentence above it; *alone* is false if it needs a terminal or a Ctrl-C."""

    line: str
    says: str
    alone: bool = True


EXAMPLES = {
    "images": [
        Example("tinybox images", "List the images in the store."),
        Example("tinybox images -q busybox", "Print one id, or nothing if there is no such image."),
    ],
    "build": [
        Example(
            "printf 'FROM busybox\\nRUN echo hello > /hello\\n' | tinybox build -t hello -",
            "Build by a Containerfile from a pipe, without other files.",
        ),
        Example("tinybox build -t app --build-arg VERSION=2 .", "Build by ./Containerfile.", alone=False),
    ],
    "pull": [
        Example("tinybox pull busybox", "Make it by rootfs/busybox.toml, unless it exists."),
        Example("tinybox pull docker.io/library/alpine:3.20", "Pull it from a registry.", alone=False),
        Example(
            "tinybox pull --explain=html -o pull.html localhost:5000/tools:1",
            "Show each request and each layer as a page for the projector.",
            alone=False,
        ),
        Example("tinybox pull -a localhost:5000/tools", "Pull all tags that a registry has of a name.", alone=False),
    ],
    "import": [
        Example("tinybox import site.tar.gz site:2", "Make an image from a file, of any compression."),
        Example("gzip -dc site.tar.gz | tinybox import - site:3", "Make an image from a pipe."),
    ],
    "save": [
        Example(
            "tinybox save -o busybox.tar busybox",
            "Write an archive for other tools: `skopeo copy oci-archive:busybox.tar ...`.",
        ),
        Example("tinybox save busybox | gzip > busybox.tar.gz", "Write the archive into a pipe."),
    ],
    "load": [
        Example(
            "tinybox save site -o site-image.tar && tinybox load -i site-image.tar",
            "Write an image, and load it again.",
            alone=False,
        ),
        Example("tinybox save site | tinybox load -q", "The same files give the same image.", alone=False),
    ],
    "tag": [Example("tinybox tag busybox lab/tools:1", "Give an image a second name.")],
    "history": [Example("tinybox history busybox", "See which instruction made each layer.")],
    "layers": [
        Example("tinybox layers web", "See the image's layers, and on top what web has changed and copied up."),
        Example("tinybox layers --which /etc/passwd busybox", "Find out which layer a file comes from."),
        Example(
            "tinybox layers --html layers.html busybox", "Draw the layers for the projector: open the page, press →."
        ),
    ],
    "push": [
        Example(
            "tinybox tag busybox localhost:5000/tools:1 && tinybox push localhost:5000/tools:1",
            "Send an image to a registry; its name says to which one.",
            alone=False,
        )
    ],
    "login": [
        Example(
            "tinybox login -u ada --password-stdin registry.example < password.txt",
            "Keep a user and a password for a registry; the password is in no list of processes.",
            alone=False,
        )
    ],
    "logout": [Example("tinybox logout registry.example", "Remove them again.")],
    "image inspect": [
        Example("tinybox image inspect -f '{{.Config.Cmd}}' busybox", "See how the image's program is called."),
    ],
    "container inspect": [Example("tinybox container inspect -s web", "Show the details of a box, with its sizes.")],
    "container prune": [Example("tinybox container prune -f", "Remove the containers that do not run.")],
    "buildx build": [
        Example("tinybox buildx build --load -t app .", "The same as build, by docker's newer name.", alone=False)
    ],
    "buildx imagetools create": [
        Example(
            "tinybox buildx imagetools create -t localhost:5000/tools:latest localhost:5000/tools:1",
            "Give an image in a registry another name; no layer is fetched.",
            alone=False,
        )
    ],
    "buildx imagetools inspect": [
        Example("tinybox buildx imagetools inspect localhost:5000/tools:1", "See its manifest there.", alone=False)
    ],
    "buildx stop": [Example("tinybox buildx stop", "Succeed: nothing runs between two builds.")],
    "buildx use": [Example("tinybox buildx use default", "Succeed: this is the builder that there is.")],
    "buildx inspect": [Example("tinybox buildx inspect", "Show the builder.")],
    "buildx ls": [Example("tinybox buildx ls", "List the builders: there is one.")],
    "buildx prune": [Example("tinybox buildx prune -f", "Remove the build cache.")],
    "buildx version": [Example("tinybox buildx version", "Show the builder's version.")],
    "builder prune": [Example("tinybox builder prune -f", "Remove the build cache.")],
    "image prune": [Example("tinybox image prune -f --filter until=24h", "Remove old images without a name.")],
    "system df": [
        Example("tinybox system df", "See how much space everything takes, and how much of it can be freed."),
        Example("tinybox system df -v", "List each image, container, volume and entry of the build cache."),
    ],
    "rmi": [Example("tinybox commit web site:1 && tinybox rmi site:1", "Remove a name; the last one with its layers.")],
}
