"""What README says of a new model, done with a copy of the project."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np

from models._template import MyModel

ROOT = Path(__file__).resolve().parents[2]


def test_a_copy_of_it_with_its_yaml_trains(tmp_path):
    for package in ("conf", "experiments", "models", "trainer"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / package, tmp_path / package, ignore=ignored)
    template = (tmp_path / "models" / "_template.py").read_text()
    (tmp_path / "models" / "my_model.py").write_text(template)
    lines = re.search(r"    # One line.*?\n\n", template, re.DOTALL)[0].splitlines()
    option = "\n".join(line.removeprefix("    ") for line in lines)
    (tmp_path / "conf" / "model" / "my_model.yaml").write_text(option)
    words = ["model=my_model", "model.width=4", "duration=2st", "data.limit=64"]
    done = subprocess.run(
        [sys.executable, "-m", "trainer", *words],
        cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(list(tmp_path.glob("outputs/*/*/metrics.jsonl"))) == 1


def test_it_is_a_model_as_it_stands():
    model = MyModel(3, width=4, dropout=0.5)
    images = np.zeros((2, 8, 8, 1), "float32")
    assert model(images, training=True).shape == (2, 3)
    assert MyModel.from_config(model.get_config()).get_config() == model.get_config()
