"""A request on its way, and the parts of it that different owners write."""
