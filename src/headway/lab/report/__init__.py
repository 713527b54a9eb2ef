"""Measurements as pages and charts: what load tests and simulations show alike."""
