"""A shop of two boxes, to be read aloud: a web server that anybody may ask, and a visitor who asks it.

    sudo python examples/guest_book.py

Each `with` is a thing that exists until its block ends: a network, a volume, a running box. Nothing is left after it,
also if a line in between fails.
"""

from __future__ import annotations

import tinybox

PAGE = b"<h1>Welcome</h1>\n"


def main() -> None:
    """Let a visitor read a page, and sign the guest book."""
    with tinybox.Network.create("street") as street, tinybox.Volume.create("book") as book:
        server = tinybox.Container.run(
            "busybox", "httpd", "-f", "-h", "/srv", name="shop", network=street, volume=f"{book}:/srv", memory="16m"
        )
        with server:
            server.exec("tee", "/srv/index.html", input=PAGE)

            ask = "until wget -q -O - http://shop/; do sleep 0.1; done"  # the server may still be starting
            visit = tinybox.run("busybox", "sh", "-c", ask, network=street, rm=True, capture_output=True)
            print("the visitor reads:", visit.stdout.decode().strip())

            server.exec("tee", "-a", "/srv/guests", input=b"a visitor was here\n")
            print("the server runs:  ", ", ".join(process.command for process in server.top()))
            print("and has changed:  ", server.diff())

        # The server is gone, and the book is still there: a volume outlives its containers.
        guests = tinybox.run("busybox", "cat", "/srv/guests", volume=f"{book}:/srv", rm=True, capture_output=True)
        print("in the book:      ", guests.stdout.decode().strip())


if __name__ == "__main__":
    main()
