"""What the console shows live."""
