"""The driver of the scheduler, and the slots that requests hold."""
