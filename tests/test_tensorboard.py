"""TensorBoard itself serves a run folder, and a browser shows its curves."""

import json
import shutil
import subprocess
import sys
import time
import urllib.request

import pytest
from toy import toy_trainer

pytestmark = pytest.mark.slow
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
PORT = 16006


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    run_dir = tmp_path_factory.mktemp("served")
    toy_trainer(run_dir=run_dir).fit("3ep")
    words = ["-m", "tensorboard.main", "--logdir", str(run_dir), "--port", str(PORT)]
    with subprocess.Popen([sys.executable, *words], stderr=subprocess.DEVNULL) as server:
        yield f"http://localhost:{PORT}"
        server.terminate()


def fetched(url, wait_seconds=60):
    end = time.monotonic() + wait_seconds
    while True:
        try:
            with urllib.request.urlopen(url) as answer:
                return json.loads(answer.read())
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.5)


def test_both_splits_are_served_under_the_same_tags(address):
    tags = fetched(f"{address}/data/plugin/scalars/tags")
    assert {"loss", "accuracy"} <= set(tags["train"]) & set(tags["val"])


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
def test_a_browser_shows_the_curves(address, tmp_path):
    fetched(f"{address}/data/plugin/scalars/tags")
    page = subprocess.run(
        [
            CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic",
            "--no-first-run", "--disable-background-networking", "--disable-component-update",
            "--disable-sync", f"--user-data-dir={tmp_path}", "--virtual-time-budget=30000",
            "--dump-dom", f"{address}/#timeseries",
        ],
        capture_output=True, text=True, timeout=120, check=True,
    ).stdout  # fmt: skip
    for shown in ("loss", "accuracy", "train", "val"):
        assert shown in page
