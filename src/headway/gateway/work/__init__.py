"""A request in progress, in parts that each have one writer."""
