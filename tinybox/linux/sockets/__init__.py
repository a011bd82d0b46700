"""Netlink sockets: the messages by which the kernel makes and shows links, addresses and routes."""
