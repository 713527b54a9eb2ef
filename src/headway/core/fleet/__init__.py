"""How many replicas of an engine are on: started and drained with the work.

scaling.py    Scaling: the rule
fleet.py      Fleet: events go in, changes of replicas come out
"""
