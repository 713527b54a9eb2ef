"""What an operator can set: every key, its default and its limits, and where it is read from."""
