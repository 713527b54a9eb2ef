"""Gateways that share the slots of their backends through Redis.

wire.py     what goes to the script and comes back
script.py   the script's commands; slots.lua: the script, twin of headway.core.sharing.slots
"""
