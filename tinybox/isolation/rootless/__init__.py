"""Boxes without root: the user namespace that is the home of a user, its ids, and its way to the network."""
