"""Predictions of output lengths while the gateway runs."""
