"""A run folder is data: whatever is in it, a run goes on, or one line says what is wrong."""

import gzip
import json
import math
import os
import pickle
import shutil
import struct
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
from test_fit import rows
from test_run import train

from trainer import checkpoint
from trainer.__main__ import entry
from trainer.checkpoint import Checkpoint
from trainer.checkpoint_facts import STATE
from trainer.checkpoint_folder import CheckpointFolder

WORDS = [
    *("data.limit=64", "duration=4st", "checkpoint_every=2st", "keep=2"),
    *("callbacks.progress=null", "callbacks.example_images=null"),
]
NEWEST = "checkpoints/step_000000004.safetensors"
BEFORE = "checkpoints/step_000000002.safetensors"


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    run_dir = tmp_path_factory.mktemp("finished")
    assert train(run_dir, *WORDS) == 0
    return run_dir


@pytest.fixture
def run_dir(finished, tmp_path):
    return Path(shutil.copytree(finished, tmp_path / "run"))


@pytest.fixture
def elsewhere(tmp_path):
    """A file of the user that no run may touch."""
    path = tmp_path / "elsewhere"
    path.write_text("mine\n")
    yield path
    assert path.read_text() == "mine\n"


class Payload:
    """Makes a folder when it is unpickled."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.mkdir, (str(self.marker),)


def one_line(capsys):
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "Traceback" not in error, error
    return error


def resume(run_dir, capsys, code, words=WORDS):
    capsys.readouterr()
    assert train(run_dir, *words) == code
    return one_line(capsys) if code else ""


def evaluate(run_dir, capsys, code, *words):
    capsys.readouterr()
    assert entry(["evaluate", str(run_dir), *words]) == code
    return one_line(capsys) if code else capsys.readouterr().out


# ---- config.yaml

BOMB = "a: &a [x, x]\n" + "".join(f"{b}: &{b} [*{a}, *{a}]\n" for a, b in zip("abcde", "bcdef"))  # noqa: B905
CONFIGS = {
    "garbage": b"\x00\x01\xff\xfe\x80 garbage",
    "not UTF-8": "name: caf\xe9\n".encode("latin-1"),
    "a pickle": pickle.dumps({"seed": 0}),
    "gzip": gzip.compress(b"seed: 0"),
    "empty": b"",
    "a list": b"- 1\n- 2\n",
    "a number": b"17\n",
    "a text": b"just text\n",
    "cut off": b"data:\n  batch_size: [1",
    "a bomb": BOMB.encode(),
    "deep": b"a: " + b"[" * 5000 + b"]" * 5000,
    "an object": b'!!python/object/apply:os.mkdir ["MARKER"]\n',
    "an object inside": b'seed: !!python/object/apply:os.mkdir ["MARKER"]\n',
    "a path": b'name: !!python/object/apply:pathlib.PosixPath ["x"]\n',
    "bytes": b"name: !!binary aGVsbG8=\n",
    "the environment": b"name: ${oc.env:HOME}\n",
    "a hydra node": b"hydra:\n  callbacks: {x: {_target_: os.mkdir, name: MARKER}}\n",
    "a long number": b"seed: " + b"9" * 5000,
    "keys that are no text": b"1: 2\nnull: 3\n",
    "a key twice": b"seed: 0\nseed: 1\n",
    "megabytes": b"name: " + b"x" * 1_000_000,
    "two documents": b"seed: 0\n---\nseed: 1\n",
    "lines in a value": b'seed: "1\\n2\\e[31m"\n',
    "a target": b"model: {_target_: os.mkdir, path: MARKER}\n",
}
FOR_RESUME = ["garbage", "a bomb", "an object", "a hydra node", "lines in a value"]


@pytest.mark.parametrize(
    ("call", "case"), [(evaluate, case) for case in CONFIGS] + [(resume, c) for c in FOR_RESUME]
)
def test_a_damaged_config_is_one_line(call, case, run_dir, tmp_path, capsys):
    marker = tmp_path / "marker"
    content = CONFIGS[case].replace(b"MARKER", str(marker).encode())
    (run_dir / "config.yaml").write_bytes(content)
    assert f"{run_dir / 'config.yaml'}: " in call(run_dir, capsys, 2)
    assert not marker.exists()
    assert (run_dir / "config.yaml").read_bytes() == content
    assert rows(run_dir)


VALUES = ["[1, {a: 2}]", "{x: 1}", "null", "-1", ".nan", "text"]


@pytest.mark.parametrize("value", VALUES)
def test_any_value_anywhere_in_a_config_is_one_line_or_valid(value, finished, tmp_path):
    from trainer.config import ConfigError, load

    lines = (finished / "config.yaml").read_text().splitlines()
    num_refused = 0
    for k, line in enumerate(lines):
        key, colon, _ = line.partition(":")
        changed = [*lines[:k], f"{key}{colon} {value}" if colon else f"- {value}", *lines[k + 1 :]]
        (tmp_path / "config.yaml").write_text("\n".join(changed))
        try:
            load(tmp_path)
        except ConfigError as error:
            assert "\n" not in str(error)
            num_refused += 1
    assert num_refused > len(lines) / 2


# ---- checkpoints


def forged(path, step=None, facts=None, arrays=None):
    """Write a checkpoint anew, with a right checksum."""
    found = checkpoint.load(path)
    checkpoint.save(
        path,
        Checkpoint(
            found.step if step is None else step,
            found.arrays if arrays is None else arrays,
            found.facts if facts is None else facts,
        ),
    )


def facts_with(path, **changes):
    forged(path, facts={**checkpoint.load(path).facts, **changes})


def facts_without(key):
    def damage(path):
        facts = dict(checkpoint.load(path).facts)
        del facts[key]
        forged(path, facts=facts)

    return damage


def header_with(**changes):
    def damage(path):
        with safetensors.safe_open(path, framework="numpy") as file:
            header = file.metadata()
        arrays = safetensors.numpy.load_file(path)
        safetensors.numpy.save_file(arrays, path, metadata=header | changes)

    return damage


def position(**changes):
    def damage(path):
        positions = checkpoint.load(path).facts["positions"]
        facts_with(path, positions={**positions, "metrics": {**positions["metrics"], **changes}})

    return damage


def flipped(where):
    def damage(path):
        content = bytearray(path.read_bytes())
        content[int(where * (len(content) - 1))] ^= 0x10
        path.write_bytes(content)

    return damage


def cut(share):
    return lambda path: path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])


def written(content):
    return lambda path: path.write_bytes(content)


def safetensors_header(header, length=None):
    content = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(content) if length is None else length) + content


def as_npz(path):
    np.savez(path, a=np.array([Payload(path.parent / "marker")], dtype=object))
    path.with_name(f"{path.name}.npz").replace(path)


def as_pickle(path):
    path.write_bytes(pickle.dumps(Payload(path.parent / "marker")))


def as_folder(path):
    path.unlink()
    path.mkdir()


DAMAGED = {
    "emptied": written(b""),
    "cut": cut(0.5),
    "cut in the header": cut(0.01),
    "a bit of the length": flipped(0),
    "a bit of the header": flipped(0.02),
    "a bit of an array": flipped(0.9),
    "a pickle": as_pickle,
    "npz with a pickle": as_npz,
    "a folder": as_folder,
    "a length of 2**60": written(safetensors_header({}, 2**60) + bytes(100)),
    "a deep header": written(safetensors_header(b'{"a":' * 50_000)),
    "a header that is a list": written(safetensors_header([1, 2])),
    "no header": written(safetensors_header({})),
    "offsets past the end": written(
        safetensors_header({"w": {"dtype": "F32", "shape": [9], "data_offsets": [0, 36]}})
    ),
    "a dtype unknown to NumPy": written(
        safetensors_header({"w": {"dtype": "F8_E4M3", "shape": [4], "data_offsets": [0, 4]}})
        + bytes(4)
    ),
    "step below 0": header_with(step="-4"),
    "step that is text": header_with(step="four"),
    "step too large": lambda path: forged(path, step=2**60),
    "step of another file": lambda path: forged(path, step=2),
    "facts that are a list": lambda path: forged(path, facts=[1, 2]),
    "facts that are no JSON": header_with(facts="{"),
    "facts that are deep": header_with(facts="[" * 100_000),
}
# With a right checksum, so that only what is in it can tell.
OF_STATES = {
    "no facts": lambda path: forged(path, facts={}),
    **{
        f"no {key}": facts_without(key)
        for key in (
            *("ranking", "val_values", "is_due", "passed_over", "seconds", "stop_training"),
            *("positions", "callbacks"),
        )
    },
    "a ranking that is none": lambda path: facts_with(path, ranking=[["a", "b"]]),
    "a clock that is text": lambda path: facts_with(path, seconds={"total": "long"}),
    "a callback that is a list": lambda path: facts_with(path, callbacks={"0/History": [1]}),
    "NaN in a position": position(length=math.nan),
    "a position below 0": position(length=-1),
    "a position that is text": position(checksum="x"),
    "a position too large": position(length=2**70),
}


@pytest.mark.parametrize("case", [*DAMAGED, *OF_STATES])
def test_a_damaged_checkpoint_is_named_and_the_one_before_is_taken(case, run_dir, caplog):
    {**DAMAGED, **OF_STATES}[case](run_dir / NEWEST)
    assert CheckpointFolder(run_dir / "checkpoints").latest(wanted=STATE).step == 2
    assert f"checkpoint {run_dir / NEWEST} is damaged: " in caplog.text
    assert not (run_dir / "checkpoints" / "marker").exists()


@pytest.mark.parametrize("case", ["a pickle", "a folder", "no positions"])
def test_a_damaged_checkpoint_is_set_aside_and_the_run_ends_the_same(case, run_dir, capsys, caplog):
    before = rows(run_dir)
    damage = {**DAMAGED, **OF_STATES}[case]
    damage(run_dir / NEWEST)
    resume(run_dir, capsys, 0)
    assert f"checkpoint {run_dir / NEWEST} is damaged: " in caplog.text
    assert "going on from step 2" in caplog.text
    assert rows(run_dir) == before
    assert (run_dir / NEWEST).with_suffix(".damaged").exists()
    assert not (run_dir / "checkpoints" / "marker").exists()


@pytest.mark.parametrize("case", ["cut", "no positions"])
def test_with_no_checkpoint_intact_the_run_does_not_begin_anew(case, run_dir, capsys, caplog):
    before = (run_dir / "metrics.jsonl").read_bytes()
    for name in (NEWEST, BEFORE):
        {**DAMAGED, **OF_STATES}[case](run_dir / name)
    assert "none of the 2 checkpoint(s)" in resume(run_dir, capsys, 1)
    assert (run_dir / "metrics.jsonl").read_bytes() == before


def best(run_dir):
    (path,) = (run_dir / "checkpoints").glob("best_*")
    return path


OF_WEIGHTS = {
    "no facts": lambda path: forged(path, facts={}),
    "a value that is text": lambda path: facts_with(path, value="good"),
    "values that are a list": lambda path: facts_with(path, values=[1]),
    "a value too large": lambda path: facts_with(path, value=10**400),
}
WEIGHTS_CASES = ["cut", "a bit of an array", "a pickle", "facts that are a list", *OF_WEIGHTS]


@pytest.mark.parametrize("case", WEIGHTS_CASES)
def test_damaged_weights_are_one_line(case, run_dir, capsys):
    {**DAMAGED, **OF_WEIGHTS}[case](best(run_dir))
    assert f"checkpoint {best(run_dir)} is damaged: " in evaluate(run_dir, capsys, 1)


@pytest.mark.parametrize("case", ["a bit of an array", "a value that is text"])
def test_a_run_sets_damaged_weights_aside(case, run_dir, capsys, caplog):
    path = best(run_dir)
    {**DAMAGED, **OF_WEIGHTS}[case](path)
    assert "last weights (step 4)" in evaluate(run_dir, capsys, 0, "weights=last")
    resume(run_dir, capsys, 0)
    assert f"checkpoint {path} is damaged: " in caplog.text
    assert path.with_suffix(".damaged").exists()


def other_shapes(path):
    arrays = checkpoint.load(path).arrays
    forged(path, arrays={name: np.zeros((3, *a.shape), a.dtype) for name, a in arrays.items()})


def fewer_arrays(path):
    arrays = dict(checkpoint.load(path).arrays)
    arrays.pop(next(name for name in arrays if name.startswith("model/")))
    forged(path, arrays=arrays)


@pytest.mark.parametrize("damage", [other_shapes, fewer_arrays])
def test_arrays_of_another_model_are_one_line(damage, run_dir, capsys):
    before = (run_dir / "metrics.jsonl").read_bytes()
    damage(run_dir / NEWEST)
    damage(best(run_dir))
    assert f"{run_dir / NEWEST} does not fit this model" in resume(run_dir, capsys, 1)
    assert "does not fit this model" in evaluate(run_dir, capsys, 1)
    assert (run_dir / "metrics.jsonl").read_bytes() == before


def test_other_files_among_the_checkpoints_are_left_alone(run_dir, capsys):
    for name in ("step_abc.safetensors", "best_.safetensors", "step_4 (copy).safetensors"):
        (run_dir / "checkpoints" / name).write_text("mine")
    resume(run_dir, capsys, 0)
    evaluate(run_dir, capsys, 0)
    assert len(list((run_dir / "checkpoints").glob("*_*.safetensors"))) == 6


def test_a_curve_shorter_than_its_position_is_said(run_dir, capsys, caplog):
    position(length=10**15)(run_dir / NEWEST)
    before = rows(run_dir)
    resume(run_dir, capsys, 0)
    assert "metrics.jsonl is not as the checkpoint left it" in caplog.text
    assert rows(run_dir) == before


REMEMBERED = [
    {"__class__": "x"},
    {"on_epoch_end": 1},
    {"model": "x"},
    {"wait": "x"},
    {"wait": [1]},
    {"_trainer": 1},
]


@pytest.mark.parametrize("remembered", REMEMBERED, ids=str)
def test_what_no_callback_can_remember_is_one_line(remembered):
    import keras

    from trainer.checkpoint import CheckpointError
    from trainer.state import callback_state, restore_callback

    callback = keras.callbacks.EarlyStopping()
    before = callback_state(callback)
    with pytest.raises(CheckpointError, match=f"EarlyStopping.*{next(iter(remembered))!r}"):
        restore_callback(callback, before | remembered, {})
    assert callback_state(callback) == before


# ---- the other files

CONTENTS = {
    "garbage": b"\x00\x01\xff\xfe\x80 garbage\n",
    "empty": b"",
    "deep JSON": b"[" * 100_000,
    "other lines": b'{"step": 1}\nnull\n{"step": 2',
}


@pytest.mark.parametrize("case", ["garbage", "empty", "other lines"])
def test_damaged_curves_are_kept_beside_and_said(case, run_dir, capsys, caplog):
    (curves,) = (run_dir / "train").glob("*.tapeloop")
    for path in (run_dir / "metrics.jsonl", curves):
        path.write_bytes(CONTENTS[case])
    resume(run_dir, capsys, 0)
    for path in (run_dir / "metrics.jsonl", curves):
        assert f"{path} is not as the checkpoint left it" in caplog.text
    kept = [*run_dir.glob("metrics*.damaged"), *(run_dir / "train").glob("*.damaged")]
    assert [path.read_bytes() for path in kept] == [CONTENTS[case]] * 2
    assert not any("tfevents" in path.name for path in kept)


@pytest.mark.parametrize("case", ["garbage", "deep JSON", "a list of splits"])
def test_a_damaged_manifest_is_kept_beside_and_said(case, run_dir, capsys, caplog):
    content = b'{"data": [1]}' if case == "a list of splits" else CONTENTS[case]
    (run_dir / "manifest.json").write_bytes(content)
    resume(run_dir, capsys, 0)
    assert (run_dir / "manifest.json.damaged").read_bytes() == content
    assert (
        "manifest.json cannot be read; it is written anew (kept as manifest.json.dam" in caplog.text
    )
    assert json.loads((run_dir / "manifest.json").read_text())["seed"] == 0


@pytest.mark.parametrize("case", ["garbage", "deep JSON"])
def test_garbage_in_files_that_nobody_reads_changes_nothing(case, run_dir, capsys):
    before = rows(run_dir)
    for name in ("lock", "train.log", "checkpoints/step_000000009.partial"):
        (run_dir / name).write_bytes(CONTENTS[case])
    resume(run_dir, capsys, 0)
    assert rows(run_dir) == before


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("config.yaml", "config.yaml is gone: the settings of before cannot be compared"),
        ("manifest.json", "manifest.json is gone: the data of before cannot be compared"),
        ("checkpoints", "holds no checkpoint: begun anew, the curves there are replaced"),
    ],
)
def test_what_is_gone_is_said(name, said, run_dir, tmp_path, capsys, caplog):
    before = rows(run_dir)
    (run_dir / name).rename(tmp_path / "gone")
    resume(run_dir, capsys, 0)
    assert said in caplog.text
    assert rows(run_dir) == before


# ---- what is no file

FILES = [
    *("config.yaml", "manifest.json", "metrics.jsonl", "train.log", "lock", NEWEST, "best"),
    *("checkpoints/step_000000006.partial", "train events"),
]


WRITTEN = ("lock", "metrics.jsonl", "train.log", "train events")


def named(run_dir, name):
    if name == "best":
        return best(run_dir)
    return next((run_dir / "train").glob("*.tapeloop")) if "events" in name else run_dir / name


@pytest.mark.parametrize("name", FILES)
def test_a_link_in_place_of_a_file_is_refused_and_nothing_written_through_it(
    name, run_dir, elsewhere, capsys
):
    path = named(run_dir, name)
    path.unlink(missing_ok=True)
    path.symlink_to(elsewhere)
    for call in (resume, evaluate) if name in WRITTEN else (evaluate,):
        assert f"{path}: a link, where a run has a file of its own" in call(run_dir, capsys, 1)


@pytest.mark.parametrize("name", WRITTEN)
def test_a_dangling_link_is_refused_and_its_target_not_made(name, run_dir, tmp_path, capsys):
    path = named(run_dir, name)
    path.unlink(missing_ok=True)
    path.symlink_to(tmp_path / "not there")
    assert f"{path}: a link" in resume(run_dir, capsys, 1)
    assert not (tmp_path / "not there").exists()


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
@pytest.mark.parametrize("name", ["config.yaml", "manifest.json", "metrics.jsonl", "lock"])
def test_a_pipe_or_a_folder_in_place_of_a_file_is_refused(make, name, run_dir, capsys):
    (run_dir / name).unlink()
    make(run_dir / name)
    for call in (resume, evaluate) if name in WRITTEN else (evaluate,):
        assert f"{run_dir / name}: not a file" in call(run_dir, capsys, 1)


@pytest.mark.parametrize("name", ["checkpoints", "train", "val"])
def test_a_file_in_place_of_a_folder_is_refused(name, run_dir, capsys):
    shutil.rmtree(run_dir / name)
    (run_dir / name).write_text("mine")
    for call in (resume, evaluate) if name == "train" else (evaluate,):
        assert f"{run_dir / name}: not a folder" in call(run_dir, capsys, 1)


def test_the_run_folder_and_its_folders_may_be_links(run_dir, tmp_path, capsys):
    (run_dir / "checkpoints").rename(tmp_path / "large disk")
    (run_dir / "checkpoints").symlink_to(tmp_path / "large disk")
    (tmp_path / "link").symlink_to(run_dir)
    resume(tmp_path / "link", capsys, 0)
    evaluate(tmp_path / "link", capsys, 0)
