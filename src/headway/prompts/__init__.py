"""Prompts in plain files: templates with their variables, model settings, tools and versions."""
