"""Turns HTTP requests into works: who asks, for what, how urgent and how large it is."""
