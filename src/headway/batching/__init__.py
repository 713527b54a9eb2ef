"""Batching on an event loop: the driver of `core.batching`, and a decorator that needs no server.

driver.py     Driver: carries out what a Batcher decides
function.py   @headway.batched: calls with one item each, answered by a function of a list
"""
