"""What is recorded of every request."""
