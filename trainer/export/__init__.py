"""A run's model in a file of its own: to train on, to serve, to take elsewhere.

Reading order: `formats.py`, `chosen.py` (which weights), `serving.py` (the model with all that a
user of it would have to know inside), one file a format, `export.py`, and `check.py`, which loads
what was written in a fresh process.
"""
