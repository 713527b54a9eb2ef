"""HTTP itself: the server, bodies, browsers, headers."""
