"""Workflows as YAML files: tasks and what they need, edited without code."""
