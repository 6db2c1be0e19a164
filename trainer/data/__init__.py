"""The data sets, how they are split and measured, and the augmentations.

Reading order: `dataset.py` (the contract), `digits.py` (the shortest data set), `class_folder.py`
and `image_table.py` (files on disk, brought to one size by `image_splits.py`, read by
`image_files.py` and `decoding.py`), `cifar10.py` and the other published sets (`published.py`),
`table.py` (`columns.py`, `label_columns.py`), `npz.py`, `splits.py` (limit and validation),
`class_distribution.py`, `placement.py` (in memory or on disk), `statistics.py`, `order.py`,
`feeds.py` and `streamed_feed.py`, `augment/`.
"""
