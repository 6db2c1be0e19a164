"""Gradients of a few rows of a table, such as those of an embedding."""

import tensorflow as tf


def sum_rows(gradient: tf.IndexedSlices) -> tf.IndexedSlices:
    """Return the same gradient with each row in it once; traced.

    A row that a batch looks up twice is in its gradient twice. Norms, bounds and squares are of the
    sum.

    Args:
        gradient: `indices` [N] with repetitions, `values` [N, ...].

    Returns:
        `indices` [M] without repetitions, in the order in which they first appear, `values`
        [M, ...].
    """
    rows, position = tf.unique(gradient.indices)
    values = tf.math.unsorted_segment_sum(gradient.values, position, tf.size(rows))
    return tf.IndexedSlices(values, rows, gradient.dense_shape)


def pad_rows(gradient: tf.IndexedSlices, num_rows: int | tf.Tensor) -> tf.IndexedSlices:
    """Return the same gradient with zeros added to its first row, again and again; traced.

    Args:
        gradient: `indices` [M], `values` [M, ...], M at least 1.
        num_rows: of the result, at least M.
    """
    missing = num_rows - tf.size(gradient.indices)
    rows = tf.concat([gradient.indices, tf.repeat(gradient.indices[:1], missing)], 0)
    zeros = tf.zeros_like(tf.repeat(gradient.values[:1], missing, axis=0))
    values = tf.concat([gradient.values, zeros], 0)
    return tf.IndexedSlices(values, rows, gradient.dense_shape)
