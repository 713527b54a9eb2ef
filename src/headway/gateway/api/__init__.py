"""What clients read and write: wire types, errors, names, headers."""
