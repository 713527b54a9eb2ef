"""What a worker process holds."""
