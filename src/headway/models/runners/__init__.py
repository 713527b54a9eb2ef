"""The kinds of model that a worker process can run."""
