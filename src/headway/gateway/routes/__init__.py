"""The table of routes, their handlers, and the OpenAPI document."""
