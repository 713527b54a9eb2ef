"""What the request log says of the past: pages of requests, and figures over time made ahead."""
