"""The table of routes, its handlers and its document."""
