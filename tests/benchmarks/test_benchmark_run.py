import importlib.util
import json
import subprocess
import sys
from pathlib import Path

from benchmarks.problems import keras_mini_inception
from models.mini_inception import MiniInception

ROOT = Path(__file__).resolve().parent.parent.parent


def benchmark(*arguments):
    return subprocess.run(
        [sys.executable, "scripts/benchmark.py", *arguments],
        cwd=ROOT, capture_output=True, text=True, timeout=200,
    )  # fmt: skip


def test_a_quick_run_measures_peers_and_ours(tmp_path):
    written = tmp_path / "figures.json"
    done = benchmark("mlp", "--quick", "--only", "fit", "orbit", "ours", "--json", str(written))
    assert done.returncode == 0, done.stderr
    assert "load average" in done.stdout
    rows = {row["key"]: row for row in json.loads(written.read_text())[0]["rows"]}
    assert len(rows["fit"]["rates"]) == len(rows["ours"]["rates"]) == 1
    assert rows["ours"]["num_traces"] == 1
    assert rows["fit"]["peak_bytes"] > 1e8
    if importlib.util.find_spec("orbit") is None:
        assert "pip install" in rows["orbit"]["problem"]
        assert rows["orbit"]["problem"] in done.stdout


def test_an_unknown_workload_is_told():
    done = benchmark("mpl")
    assert done.returncode == 2
    assert "'mpl'" in done.stderr
    assert "mlp, inception, folder, memory" in done.stderr


def test_the_peers_inception_has_the_variables_of_ours():
    peer, ours = keras_mini_inception(num_classes=10), MiniInception(num_classes=10)
    ours.build((None, 32, 32, 3))

    def shapes(variables):
        return sorted(tuple(v.shape) for v in variables)

    assert shapes(peer.trainable_variables) == shapes(ours.trainable_variables)
    assert shapes(peer.non_trainable_variables) == shapes(ours.non_trainable_variables)
