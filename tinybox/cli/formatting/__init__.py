"""Tables and templates: how a list of things is printed."""
