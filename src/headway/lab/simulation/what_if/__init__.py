"""Answers to what another policy, number of slots, engine or number of engines would have done."""
