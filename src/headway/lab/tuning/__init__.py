"""Which batching settings suit a model: measured for real, then swept on virtual time.

work.py       batches of a size and a length, to measure the model with
durations.py  C(n, length): what they took; measuring.py fills it in
traffic.py    items that arrive, by chance of a seed
sweep.py      every setting at every load: points
front.py      those that no other beats, and the one for an SLO
table.py, report.py: in the terminal, as a page
"""
