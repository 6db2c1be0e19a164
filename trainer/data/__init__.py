"""The data sets, how they are split and measured, and the augmentations.

Reading order: `dataset.py` (the contract), `digits.py` (the shortest data set), `cifar10.py` and
`class_folder.py` (files on disk), `splits.py` (limit and validation), `statistics.py`,
`augment/`.
"""
