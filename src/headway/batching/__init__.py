"""Batching on an event loop: the driver of `core.batching`, and a decorator that needs no server.

driver.py     Driver: carries out the decisions of a Batcher
function.py   @headway.batched: makes one call of a function of a list from many single calls
"""
