"""The data sets, how they are split and measured, and the augmentations.

Reading order: `dataset.py` (the contract), `digits.py` (the shortest data set), `cifar10.py` and
`class_folder.py` (files on disk, read by `image_files.py` and `decoding.py`), `splits.py` (limit
and validation), `placement.py` (in memory or on disk), `statistics.py`, `order.py`, `feeds.py` and
`streamed_feed.py`, `augment/`.
"""
