"""Docker's options become config.json; the config.json of another tool is checked."""
