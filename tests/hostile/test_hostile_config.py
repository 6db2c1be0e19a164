"""Whatever is in the config.yaml of a run folder: it is valid, or one line says what is wrong."""

import gzip
import pickle

import pytest
from hostile_run_folder import evaluate, resume
from test_fit import rows

from trainer.config import ConfigError, load

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
