"""Networks of containers: addresses, bridges, links, host names and published ports."""
