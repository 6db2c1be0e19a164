"""Layers as they are called, in models of every style."""

import csv

import keras
import tensorflow as tf

from trainer.describe.layer_calls import forward_pass
from trainer.describe.layer_table import as_csv, layer_table

SPEC = {"image": tf.TensorSpec([8, 8, 3])}


class Block(keras.layers.Layer):
    def __init__(self, filters, **kwargs):
        super().__init__(**kwargs)
        self.conv = keras.layers.Conv2D(filters, 3, padding="same", name="conv")
        self.norm = keras.layers.BatchNormalization(name="norm")

    def call(self, inputs, training=False):
        return self.norm(self.conv(inputs), training=training)


class InLists(keras.Model):
    """Layers in a list, one used twice, one never, and a product of its own."""

    def __init__(self):
        super().__init__(name="in_lists")
        self.blocks = [Block(4, name="block_1"), Block(4, name="block_2")]
        self.pool = keras.layers.GlobalAveragePooling2D(name="pool")
        self.shared = keras.layers.Dense(4, name="shared")
        self.unused = keras.layers.Dense(2, name="unused")
        self.unused.build((None, 3))

    def call(self, inputs, training=False):
        x = inputs
        for block in self.blocks:
            x = block(x, training=training)
        x = self.shared(self.shared(self.pool(x)))
        return tf.matmul(x, x, transpose_b=True)


def found():
    model = InLists()
    model(tf.zeros([1, 8, 8, 3]))
    return model, forward_pass(model, SPEC)


CONV_1, CONV_2 = 2 * 64 * 4 * 27, 2 * 64 * 4 * 36


def test_layers_in_lists_have_shapes_and_the_sums_of_what_is_within():
    model, forward = found()
    rows = {call.layer.name: call for call in forward.root.inner}
    assert list(rows) == ["block_1", "block_2", "pool", "shared", "unused"]
    block = rows["block_1"]
    assert block.output_shapes == [(8, 8, 4)] and rows["pool"].output_shapes == [(4,)]
    assert (block.num_trainable, block.num_frozen) == (4 * 27 + 4 + 8, 8)
    assert block.flops == CONV_1 and rows["block_2"].flops == CONV_2
    assert [call.layer.name for call in block.inner] == ["conv", "norm"]
    assert rows["unused"].flops is None
    root = forward.root
    assert root.flops == CONV_1 + CONV_2 + 2 * (2 * 4 * 4) + 2 * 4
    assert root.num_trainable + root.num_frozen == model.count_params()


def test_a_table_says_what_it_leaves_out():
    _, forward = found()
    table = layer_table(forward, depth=1)
    cells = [row[0] for row in table.rows]
    assert cells == ["block_1", "block_2", "pool", "shared", "shared", "unused"]
    assert table.rows[4][3] == "as above" and table.rows[5][5] == ""
    lines = " ".join(table.lines)
    assert "8 FLOPs of the total are the model's own" in lines
    assert "not called by the model itself" in lines and "--depth N, up to 2" in lines
    deep = layer_table(forward)
    assert [row[0] for row in deep.rows][:3] == ["block_1", "  conv", "  norm"]


def test_freezing_moves_parameters_to_the_other_column():
    model, _ = found()
    model.blocks[0].trainable = False
    row = layer_table(forward_pass(model, SPEC), depth=1).rows[0]
    assert row[3:5] == ["", str(4 * 27 + 4 + 16)]


def test_a_csv_has_all_layers_with_their_paths():
    rows = list(csv.DictReader(as_csv(found()[1]).decode().splitlines()))
    conv = next(row for row in rows if row["layer"] == "in_lists/block_2/conv")
    assert (conv["output"], conv["depth"], int(conv["flops"])) == ("8x8x4", "2", CONV_2)


def test_sequential_and_functional_models_are_seen_as_well():
    inputs = keras.Input((8, 8, 3))
    inner = keras.Sequential([keras.layers.Conv2D(4, 3, padding="same", name="conv")], name="stem")
    outputs = keras.layers.Flatten(name="flatten")(inner(inputs))
    forward = forward_pass(keras.Model(inputs, outputs), SPEC)
    names = [(call.depth, call.layer.name) for call in forward.root.walk()][1:]
    assert names == [(1, "stem"), (2, "conv"), (1, "flatten")]
    assert forward.root.flops == CONV_1
