"""Spans of OpenTelemetry: what they are, how they continue a trace, and how they are sent."""
