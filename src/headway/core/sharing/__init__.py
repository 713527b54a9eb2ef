"""Several gateways, one order: they share the slots of backends, each with a Scheduler of its own.

place.py     the place of a waiting request, comparable over all gateways
messages.py  Post, Entry, Choice, Offer go in; Grant, Yield come out
slots.py     SharedSlots: which gateway gets which slot
share.py     the part of the slots that a gateway uses while it cannot reach the others
"""
