"""Forensics of one training step of a past run: rebuilt to the bit, then run under observation.

Reading order: `way.py` (from which checkpoint, by which updates), `rebuild.py` (the state before
the step), `step.py` (the step itself), `observe.py` and `numeric_checks.py` (what happens in it),
`terminal.py` and `report.py` (what is shown and kept of it).
"""
