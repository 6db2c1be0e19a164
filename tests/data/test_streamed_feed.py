"""The streamed feed: the batches of the resident one, to the bit, from files on disk."""

import os

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from toy import toy_arrays, toy_trainer

from trainer.data import placement
from trainer.data.augment import PaddedCrop, RandomFlip
from trainer.data.class_folder import class_folder
from trainer.data.data import Data
from trainer.data.dataset import UnreadableExamplesError
from trainer.data.feeds import ResidentFeed
from trainer.data.order import SequentialOrder, ShuffledOrder
from trainer.data.placement import check_readable, memory_size, read_into_memory
from trainer.data.statistics import channel_statistics
from trainer.data.streamed_feed import StreamedFeed

NUM_PER_CLASS, BATCH_SIZE = 11, 4


@pytest.fixture
def root(tmp_path):
    """Two classes of images of several kinds and sizes, most of them 8x8 JPEG."""
    rng = np.random.default_rng(0)
    for split, name in ((s, c) for s in ("train", "test") for c in ("a", "b")):
        (tmp_path / split / name).mkdir(parents=True)
        for k in range(NUM_PER_CLASS):
            shape = (9, 11, 3) if k == 3 else (8, 8, 3)
            image = Image.fromarray(rng.integers(0, 256, size=shape, dtype=np.uint8))
            suffix = {0: "png", 1: "gif", 2: "webp"}.get(k, "jpg")
            image.save(tmp_path / split / name / f"{k}.{suffix}")
    return tmp_path


def splits_of(root):
    return class_folder(str(root)).load()


def batches(feed, first_step, num_steps, chunk=3):
    """The batches of consecutive steps, asked for as the loop does."""
    found = []
    while len(found) < num_steps:
        count = min(chunk, num_steps - len(found))
        plan = feed.plan(first_step + len(found), count, 3)
        found += [feed.batch(plan, tf.constant(k)) for k in range(count)]
    return [{key: tensor.numpy() for key, tensor in batch.items()} for batch in found]


def assert_equal(ours, theirs):
    assert len(ours) == len(theirs)
    for one, other in zip(ours, theirs, strict=True):
        assert one.keys() == other.keys()
        for key in one:
            assert one[key].dtype == other[key].dtype
            np.testing.assert_array_equal(one[key], other[key])


@pytest.mark.parametrize("num_parallel", [None, 1, 2, 7])
def test_training_batches_are_those_of_the_resident_feed(root, num_parallel):
    arrays = splits_of(root)["train"]
    order = ShuffledOrder(2 * NUM_PER_CLASS, BATCH_SIZE, seed=3)
    streamed = StreamedFeed(arrays, order, num_parallel)
    resident = ResidentFeed(read_into_memory({"train": arrays})["train"], order)
    assert_equal(batches(streamed, 0, 13), batches(resident, 0, 13))  # two epochs and a half
    assert streamed.keys == resident.keys
    assert streamed.steps_per_epoch == resident.steps_per_epoch == 5


@pytest.mark.parametrize("num_parallel", [None, 1, 7])
def test_evaluation_batches_are_padded_as_those_of_the_resident_feed(root, num_parallel):
    arrays = splits_of(root)["test"]
    order = SequentialOrder(2 * NUM_PER_CLASS, BATCH_SIZE)
    streamed = StreamedFeed(arrays, order, num_parallel)
    resident = ResidentFeed(read_into_memory({"test": arrays})["test"], order)
    for _ in range(2):
        ours = batches(streamed, 0, 6)
        assert_equal(ours, batches(resident, 0, 6))
    assert sum(batch["weight"].sum() for batch in ours) == 2 * NUM_PER_CLASS
    np.testing.assert_array_equal(ours[-1]["weight"], [1, 1, 0, 0])


def test_a_feed_is_taken_up_at_any_step(root):
    feed = StreamedFeed(splits_of(root)["train"], ShuffledOrder(22, BATCH_SIZE, seed=3))
    from_start = batches(feed, 0, 12)
    assert_equal(batches(feed, 7, 5), from_start[7:])
    assert len(batches(feed, 10**9, 1)) == 1


def test_one_iterator_serves_all_chunks(root):
    feed = StreamedFeed(splits_of(root)["train"], ShuffledOrder(22, BATCH_SIZE, seed=3))
    first = feed.plan(0, 3, 256)
    assert feed.plan(3, 9, 256) is first and feed.plan(12, 1, 256) is first
    assert feed.plan(12, 1, 256) is not first


def test_arrays_in_memory_can_be_streamed_too():
    features, labels = toy_arrays(22, 0)
    weight = np.linspace(0, 1, 22, dtype="float32")
    feeds = [
        Data(
            train=(features, labels), val=(features, labels, weight), batch_size=4, feed=feed
        ).feeds
        for feed in ("streamed", "resident")
    ]
    assert isinstance(feeds[0]["train"], StreamedFeed)
    for split in ("train", "val"):
        assert_equal(batches(feeds[0][split], 0, 6), batches(feeds[1][split], 0, 6))


def image_trainer(root, feed):
    splits = splits_of(root)
    mean, std = channel_statistics(splits["train"]["image"])
    data = Data(
        train=splits["train"], val=splits["test"], batch_size=BATCH_SIZE, mean=mean, std=std,
        augment={"flip": RandomFlip(), "crop": PaddedCrop(2)}, seed=5, feed=feed,
    )  # fmt: skip
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [keras.layers.Conv2D(4, 3), keras.layers.Flatten(), keras.layers.Dense(2)]
    )
    return toy_trainer(model=model, data=data)


def test_training_and_evaluation_are_equal_to_the_bit_whatever_the_feed(root):
    streamed, resident = (image_trainer(root, feed) for feed in ("streamed", "resident"))
    assert isinstance(streamed.data.feed("train"), StreamedFeed)
    assert isinstance(resident.data.feed("train"), ResidentFeed)
    for first_step, num_steps in ((0, 1), (1, 7), (8, 4)):
        ours, theirs = (t.train_chunk(first_step, num_steps) for t in (streamed, resident))
        assert len(ours["loss"]) == num_steps
        assert_equal([ours], [theirs])
        assert streamed.evaluate() == resident.evaluate()
    assert streamed._train_chunk.num_traces == 1
    assert streamed._test_chunks["val"].num_traces == 1


def test_the_statistics_of_images_on_disk_are_those_in_memory(root):
    images = splits_of(root)["train"]["image"]
    for ours, theirs in zip(
        channel_statistics(images), channel_statistics(np.asarray(images)), strict=True
    ):
        np.testing.assert_array_equal(ours, theirs)


def spoil(path):
    """Break a file so that neither its size nor its time of change tells."""
    stat = path.stat()
    path.write_bytes(b"x" * stat.st_size)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def test_a_second_run_reads_neither_headers_nor_statistics_again(root):
    splits = splits_of(root)
    shape = splits["train"]["image"].shape
    mean, _ = channel_statistics(splits["train"]["image"])
    for path in root.glob("*/*/*"):
        spoil(path)
    images = splits_of(root)["train"]["image"]
    assert images.shape == shape
    np.testing.assert_array_equal(channel_statistics(images)[0], mean)
    with pytest.raises(UnreadableExamplesError, match="22 of 22 images cannot be read"):
        channel_statistics(images[np.arange(22)[::-1]])  # other files: not known


def test_the_identity_of_files_is_that_of_names_sizes_and_times(root):
    def identity():
        return splits_of(root)["train"]["image"].identity().tobytes()

    before = identity()
    assert identity() == before
    path = root / "train" / "a" / "5.jpg"
    os.utime(path, ns=(0, 0))
    changed = identity()
    assert changed != before
    path.rename(path.with_name("55.jpg"))
    assert identity() not in (before, changed)


def test_what_cannot_be_read_is_told_for_all_splits_before_training(root):
    for place in ("train/a/4.jpg", "test/b/5.jpg", "test/b/1.gif"):
        path = root / place
        path.write_bytes(path.read_bytes()[:-40])
    splits = splits_of(root)
    splits["val"] = splits["test"]  # as hold_out does: counted once
    for read in (check_readable, read_into_memory):
        with pytest.raises(UnreadableExamplesError, match="3 of 44 images cannot be") as info:
            read(splits)
        assert "train/a/4.jpg" in str(info.value) and "\n" not in str(info.value)


@pytest.mark.parametrize("at", ["start", "training", "evaluation"])
def test_a_file_that_breaks_while_streaming_is_named(root, at):
    if at == "start":
        for path in (root / "train").glob("*/*"):
            spoil(path)
        with pytest.raises(UnreadableExamplesError, match=r"images cannot be read: .*/train/"):
            image_trainer(root, "streamed")
        return
    trainer = image_trainer(root, "streamed")
    place = "train/a/5.jpg" if at == "training" else "test/a/5.jpg"
    spoil(root / place)
    run = (lambda: trainer.train_chunk(0, 20)) if at == "training" else trainer.evaluate
    with pytest.raises(UnreadableExamplesError, match=f"1 of 22 images cannot .*{place}") as info:
        run()
    assert "\n" not in str(info.value)


def test_the_memory_of_a_container_counts(tmp_path, monkeypatch):
    limit = tmp_path / "memory.max"
    monkeypatch.setattr(placement, "CGROUP_LIMIT", limit)
    machine = memory_size()
    limit.write_text("max\n")
    assert memory_size() == machine > 2**20
    limit.write_text(f"{2**20}\n")
    assert memory_size() == 2**20


def test_an_unknown_feed_is_refused():
    with pytest.raises(ValueError, match=r"data.feed=stream: no such feed; .*streamed"):
        Data(train=toy_arrays(8, 0), batch_size=4, feed="stream")
