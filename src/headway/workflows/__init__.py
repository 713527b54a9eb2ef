"""Workflows: pipelines that survive crashes, whose calls are scheduled by what the run needs."""
