"""One way to do the work of a workload in each file.

A contender is made with the workload's problem and has `run(num_epochs)`, which returns when that
work is done: the number of examples that were gone through.
"""
