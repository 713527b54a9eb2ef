"""The lab: simulate, load-test, tune, and report what was measured."""
