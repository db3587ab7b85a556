"""Values and pure functions: what a host, a server, a flavor, a placement is."""
