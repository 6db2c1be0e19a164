import numpy as np
import pytest

from trainer.checkpoint import Checkpoint, CheckpointFolder, load


def make(step):
    return Checkpoint(
        step,
        {"model/w": np.arange(6, dtype="float32").reshape(2, 3), "step": np.int64(step)[None]},
        {"best": 0.5, "callbacks": {"0/EarlyStopping": {"wait": 2}}},
    )


def test_what_was_saved_is_loaded(tmp_path):
    folder = CheckpointFolder(tmp_path / "checkpoints")
    path = folder.save(make(7))
    loaded = load(path)
    assert (loaded.step, loaded.facts) == (7, make(7).facts)
    np.testing.assert_array_equal(loaded.arrays["model/w"], make(7).arrays["model/w"])
    assert not list(tmp_path.rglob("*.partial"))


def test_the_last_ones_and_the_best_are_kept(tmp_path):
    folder = CheckpointFolder(tmp_path, keep=2)
    folder.save_best(make(1))
    for step in (1, 9, 10, 100):
        folder.save(make(step))
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == [
        "best.safetensors",
        "step_000000010.safetensors",
        "step_000000100.safetensors",
    ]
    assert folder.latest().step == 100
    assert folder.best().step == 1


def test_an_empty_folder_has_no_checkpoint(tmp_path):
    assert CheckpointFolder(tmp_path / "none").latest() is None
    assert CheckpointFolder(tmp_path / "none").best() is None


def flip_last_byte(path):
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def truncate(path):
    path.write_bytes(path.read_bytes()[:-10])


def empty(path):
    path.write_bytes(b"")


@pytest.mark.parametrize("damage", [flip_last_byte, truncate, empty])
def test_a_damaged_newest_is_named_and_the_one_before_is_used(tmp_path, damage, caplog):
    folder = CheckpointFolder(tmp_path, keep=2)
    folder.save(make(1))
    damage(folder.save(make(2)))
    assert folder.latest().step == 1
    assert "step_000000002.safetensors is damaged" in caplog.text


def test_nothing_intact_is_an_error_and_not_a_fresh_start(tmp_path):
    folder = CheckpointFolder(tmp_path)
    truncate(folder.save(make(1)))
    with pytest.raises(ValueError, match=r"none of the 1 checkpoint"):
        folder.latest()


def test_keeping_none_is_refused(tmp_path):
    with pytest.raises(ValueError, match="keep=0"):
        CheckpointFolder(tmp_path, keep=0)
