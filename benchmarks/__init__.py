"""What `scripts/benchmark.py` measures: our loop beside what one would use instead.

Reading order: `workloads.py` (what is compared), `contenders/` (one file each, written as its own
documentation would), `problems.py` (the data and models they share), `measure.py` (one child
process), `rounds.py` (all of them in turn), `memory.py`, `tables.py`.

Only child processes import TensorFlow.
"""
