"""Ways to damage a checkpoint, by name."""

import json
import math
import pickle
import struct

import numpy as np
import safetensors.numpy
from hostile_run_folder import Payload

from trainer import checkpoint
from trainer.checkpoint import Checkpoint


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


OF_WEIGHTS = {
    "no facts": lambda path: forged(path, facts={}),
    "a value that is text": lambda path: facts_with(path, value="good"),
    "values that are a list": lambda path: facts_with(path, values=[1]),
    "a value too large": lambda path: facts_with(path, value=10**400),
}


def other_shapes(path):
    arrays = checkpoint.load(path).arrays
    forged(path, arrays={name: np.zeros((3, *a.shape), a.dtype) for name, a in arrays.items()})


def fewer_arrays(path):
    arrays = dict(checkpoint.load(path).arrays)
    arrays.pop(next(name for name in arrays if name.startswith("model/")))
    forged(path, arrays=arrays)
