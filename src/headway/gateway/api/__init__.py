"""The API as clients see it: wire types, errors, names, headers."""
