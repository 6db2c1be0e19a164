"""The jobs of a grid, and how they are given to the launcher."""

from types import SimpleNamespace

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from trainer.config import ConfigError
from trainer.sweep.finish import SweepEndedError
from trainer.sweep.launcher import TapeLoopLauncher
from trainer.sweep.sweeper import TapeLoopSweeper, combinations


class Launcher(TapeLoopLauncher):
    """Ends the batches that begin with these numbers with these exit codes."""

    def __init__(self, codes):
        self.codes, self.launched = codes, []

    def launch(self, job_overrides, initial_job_idx):
        self.launched += job_overrides
        if initial_job_idx in self.codes:
            raise SweepEndedError(self.codes[initial_job_idx])
        return []


def sweeper(size, codes=(), composed=None):
    composed = [] if composed is None else composed
    made = TapeLoopSweeper(max_batch_size=size)
    made.config = SimpleNamespace(sweep={})
    loader = SimpleNamespace(load_sweep_config=lambda **given: composed.append(given))
    made.hydra_context = SimpleNamespace(config_loader=loader)
    made.launcher = Launcher(dict(codes))
    return made


def test_a_batch_that_fails_stops_no_other():
    of_two = sweeper(2, {0: 1})
    with pytest.raises(SweepEndedError) as ended:
        of_two.sweep(["seed=0,1,2"])
    assert ended.value.exit_code == 1
    assert of_two.launcher.launched == [["seed=0"], ["seed=1"], ["seed=2"]]


@pytest.mark.parametrize(("size", "num_composed"), [(None, 0), (2, 3)])
def test_batches_to_come_are_composed_beforehand_and_a_single_one_by_the_launcher(
    size, num_composed
):
    composed = []
    sweeper(size, composed=composed).sweep(["seed=0,1,2"])
    assert len(composed) == num_composed


def test_a_signal_stops_all_batches():
    of_one = sweeper(1, {0: 75})
    with pytest.raises(SweepEndedError) as ended:
        of_one.sweep(["seed=0,1,2"])
    assert ended.value.exit_code == 75
    assert of_one.launcher.launched == [["seed=0"]]


@pytest.mark.parametrize("size", [0, -1, "two"])
def test_batches_of_no_jobs_are_refused(size):
    with pytest.raises(ConfigError, match=f"max_batch_size={size}: must be a whole number"):
        sweeper(size).sweep(["seed=0,1"])


def test_a_range_without_values_is_named():
    words = OverridesParser.create().parse_overrides(["seed=range(3,3)"])
    with pytest.raises(ConfigError, match=r"seed=range\(3,3\): has no values"):
        combinations(words)
