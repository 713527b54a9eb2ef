"""Answers on their way to their clients: made here, or passed on from a backend."""
