"""Network links, addresses and routes over rtnetlink, the nftables firewall, and the connection table."""
