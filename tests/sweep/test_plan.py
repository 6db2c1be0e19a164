import pytest
from made_up_jobs import job
from omegaconf import OmegaConf

from trainer.compose import CONF
from trainer.sweep.plan import Planner, folder_name, is_finished


def master(config_name="config", sources=(), overrides=()):
    """The configuration of a sweep, as far as a planner looks at it when it is made."""
    known = ("provider", "path", "schema")
    found = [dict(zip(known, source, strict=True)) for source in sources]
    return OmegaConf.create(
        {
            "hydra": {
                "sweep": {"dir": "outputs/sweeps/x"},
                "job": {"config_name": config_name},
                "runtime": {"config_sources": found},
                "overrides": {"hydra": list(overrides)},
            }
        }
    )


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"sources": [("hydra", "hydra.conf", "pkg"), ("main", str(CONF), "file")]}, []),
        ({"sources": [("command-line", "/my conf", "file")]}, ["--config-dir", "/my conf"]),
        ({"sources": [("main", "/mine", "file")]}, ["--config-path", "/mine"]),
        ({"config_name": "other"}, ["--config-name", "other"]),
        ({"overrides": ["hydra.mode=MULTIRUN", "hydra.searchpath=[x]"]}, ["hydra.searchpath=[x]"]),
    ],
)
def test_a_job_finds_the_files_that_the_sweep_has_found(given, words):
    assert Planner(None, master(**given))._words_of_all == words


def test_a_folder_without_a_checkpoint_is_begun_anew_whatever_its_settings_are(tmp_path):
    its = job(tmp_path, "a")
    its.run_dir.mkdir()
    (its.run_dir / "config.yaml").write_text("seed: 9")
    assert not is_finished(its)


@pytest.mark.parametrize("name", ["a/b\\c", "...", "", "\N{SNOWMAN}" * 200, "x" * 151])
def test_the_name_of_a_folder_is_one_that_file_systems_take(name, tmp_path):
    safe = folder_name(name)
    (tmp_path / safe).mkdir()
    assert (tmp_path / safe).resolve().parent == tmp_path.resolve()
    assert len(f"{safe}.log".encode()) < 255
    assert folder_name(f"{name}/1") != folder_name(f"{name}/2")
