"""Workers of workflows, which are other processes."""
