"""The driver of the scheduler, and the slot that a request holds."""
