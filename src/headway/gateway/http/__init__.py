"""HTTP: the server, request bodies, rules for browsers, tracing headers."""
