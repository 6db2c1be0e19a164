"""Damaged curves, manifests and the like: kept beside and said, and the run goes on."""

import json

import pytest
from hostile_run_folder import resume
from test_fit import rows

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
