import fcntl
import json
import subprocess
import sys

import pytest
from tensorboard.backend.event_processing.data_provider import MultiplexerDataProvider
from tensorboard.backend.event_processing.plugin_event_multiplexer import EventMultiplexer
from tensorboard.context import RequestContext
from tensorboard.plugins.base_plugin import TBContext
from tensorboard.plugins.hparams import api_pb2, backend_context, get_experiment
from tensorboard.plugins.hparams.list_session_groups import Handler
from test_run import train

from trainer.report.hparams import (
    EVENT_FILES,
    SUCCEEDED,
    HParamsSession,
    mark_failed,
)
from trainer.report.session_settings import session_settings

CONFIG = {
    "name": "digits",
    "seed": 1,
    "data": {"_target_": "a.digits", "root": "/x"},
    "model": {"_target_": "models.mlp.MLP", "sizes": [1, 2], "dropout": None},
    "optimizer": {"_target_": "a.Adam", "learning_rate": 0.1},
    "augment": {"flip": {"_target_": "a.Flip"}, "crop": {"_target_": "a.Crop"}},
    "metrics": {},
}


def sweep_of(folder, content):
    folder.mkdir(exist_ok=True)
    (folder / "sweep.json").write_text(content if isinstance(content, str) else json.dumps(content))
    return folder / "job"


def shown_by_tensorboard(logdir):
    """The sessions as the HParams page asks for them: name to settings, metrics and status."""
    multiplexer = EventMultiplexer().AddRunsFromDirectory(str(logdir))
    multiplexer.Reload()
    provider = MultiplexerDataProvider(multiplexer, str(logdir))
    context = backend_context.Context(TBContext(data_provider=provider, logdir=str(logdir)))
    of_request = {"request_context": RequestContext(), "backend_context": context}
    everything = api_pb2.GetExperimentRequest(include_metrics=True)
    experiment = get_experiment.Handler(experiment_id="", request=everything, **of_request).run()
    request = api_pb2.ListSessionGroupsRequest(
        start_index=0,
        slice_size=100,
        allowed_statuses=api_pb2.Status.values(),
        col_params=[api_pb2.ColParams(metric=info.name) for info in experiment.metric_infos],
    )
    found = {}
    for group in Handler(experiment_id="", request=request, **of_request).run().session_groups:
        (session,) = group.sessions
        metrics = {
            "/".join(filter(None, (v.name.group, v.name.tag))): v.value for v in group.metric_values
        }
        values = {k: getattr(v, v.WhichOneof("kind")) for k, v in group.hparams.items()}
        name = session.name or "."
        found[name] = values, metrics, api_pb2.Status.Name(session.status).removeprefix("STATUS_")
    return found


def status_of(run_dir):
    return shown_by_tensorboard(run_dir.parent)[run_dir.name][2]


@pytest.mark.parametrize(
    "names, settings",
    [
        (["optimizer.learning_rate", "seed"], {"optimizer.learning_rate": 0.1, "seed": 1}),
        (["optimizer", "model"], {"optimizer": "Adam", "model": "MLP"}),
        (["augment", "metrics"], {"augment": "Flip, Crop", "metrics": "none"}),
        (["model.sizes", "model.dropout"], {"model.sizes": "[1, 2]", "model.dropout": "None"}),
        (["data.root", "experiment"], {"data.root": "/x", "experiment": "digits"}),
        (["++seed", "optimizer.momentum", "model.sizes.0"], {"seed": 1}),
    ],
)
def test_a_job_of_a_sweep_has_the_settings_that_the_sweep_varies(tmp_path, names, settings):
    run_dir = sweep_of(tmp_path / "sweep", {"varied": names, "kind": "grid"})
    assert session_settings(run_dir, CONFIG) == settings


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", "7", {}, {"varied": "seed"}, {"varied": [1]}, {"varied": []}, "[" * 9999,
     {"varied": ["debug"]}],
)  # fmt: skip
def test_a_damaged_sweep_file_leaves_all_settings(tmp_path, content):
    settings = session_settings(sweep_of(tmp_path / "sweep", content), CONFIG)
    assert settings["model"] == "MLP" and settings["model.sizes"] == "[1, 2]"
    assert settings == session_settings(tmp_path / "alone" / "job", CONFIG)


def test_the_page_has_settings_metrics_and_status_of_each_job(tmp_path):
    sweep_of(tmp_path / "sweep", {"varied": ["optimizer.learning_rate", "seed"]})
    words = ["duration=2st", "callbacks={}", "jit=false"]
    assert train(tmp_path / "sweep" / "good", *words, "seed=4") == 0
    assert train(tmp_path / "sweep" / "bad", *words, "optimizer.learning_rate=1e38") == 1
    found = shown_by_tensorboard(tmp_path / "sweep")
    settings, metrics, status = found["good"]
    assert (settings, status) == ({"optimizer.learning_rate": 0.1, "seed": 4}, "SUCCESS")
    rows = [json.loads(x) for x in (tmp_path / "sweep/good/metrics.jsonl").open()]
    assert metrics["val/accuracy"] == pytest.approx(rows[-1]["val/accuracy"])
    assert metrics["best/val/accuracy"] == pytest.approx(rows[-1]["val/accuracy"])
    assert found["bad"][0]["optimizer.learning_rate"] == pytest.approx(1e38)
    assert found["bad"][2] == "FAILURE"


@pytest.fixture
def killed(tmp_path):
    """A run folder whose process is gone: its session has begun."""
    folder = tmp_path / "sweep" / "killed"
    HParamsSession(folder, {"seed": 1}).close()
    (folder / "lock").write_text("{}")
    return folder


@pytest.mark.parametrize("torn", [b"", b"\x18\0\0\0\0", b"\x18" + bytes(20)])
def test_a_killed_job_is_marked_and_a_resumed_one_is_not(killed, torn):
    (path,) = killed.glob(EVENT_FILES)
    path.write_bytes(path.read_bytes() + torn)
    assert status_of(killed) == "UNKNOWN"
    mark_failed(killed)
    content = path.read_bytes()
    assert status_of(killed) == "FAILURE"
    mark_failed(killed)
    assert path.read_bytes() == content
    resumed = HParamsSession(killed, {"seed": 1})
    assert status_of(killed) == "UNKNOWN"
    resumed.end(SUCCEEDED, {"val/accuracy": 0.5}, 3)
    resumed.close()
    mark_failed(killed)
    assert status_of(killed) == "SUCCESS"


def test_a_run_that_is_trained_by_another_process_is_not_marked(killed):
    with (killed / "lock").open("r+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        mark_failed(killed)
        assert status_of(killed) == "UNKNOWN"
    assert (killed / "lock").read_text() == "{}"  # by which it is known as killed


def test_nothing_is_marked_where_nothing_began(tmp_path):
    mark_failed(tmp_path / "none")
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "lock").touch()
    mark_failed(tmp_path / "empty")
    assert list(tmp_path.rglob("events*")) == []


def test_a_run_is_marked_without_tensorflow(killed):
    code = (
        "import sys, pathlib; from trainer.report.hparams import mark_failed; "
        f"mark_failed(pathlib.Path({str(killed)!r})); sys.exit('tensorflow' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
    assert status_of(killed) == "FAILURE"
