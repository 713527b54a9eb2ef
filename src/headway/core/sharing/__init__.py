"""Several gateways, one order: they share the slots of backends, each with a Scheduler of its own.

place.py     the place of a waiting request, comparable over all gateways
messages.py  Post, Entry, Choice, Offer go in; Grant, Yield come out
slots.py     SharedSlots: which gateway gets which slot
standings.py Standings: what a Scheduler shows to the others
member.py    Member: drives the grants of one gateway's Scheduler
share.py     the part of the slots that a gateway uses while it cannot reach the others
"""
