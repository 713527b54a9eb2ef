"""An engine's profile, measured on a live server."""
