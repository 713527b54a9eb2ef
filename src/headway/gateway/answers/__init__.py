"""Answers to clients: built here, or passed on from a backend."""
