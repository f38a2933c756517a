"""Stand-ins for outside services, for demos and tests: small servers on loopback, each a process of its own."""
