"""Forensics of one training step of a past run: rebuilt to the bit, then run under observation.

Reading order: `logged.py` (what the run wrote), `rebuild.py` (the state before the step),
`observe.py` (what happens in it), `report.py` (what is shown of it).
"""
