"""Jobs that differ in nothing but their seed, as one: a process that trains them together."""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from trainer.config import ConfigError
from trainer.sweep.job import FAILED, FINISHED, Job, Outcome
from trainer.sweep.watched_run import has_finished

_HINT = "leave out vectorize=seeds"


@dataclass(frozen=True)
class SeedsJob(Job):
    """Several jobs that one process runs.

    Args:
        members: the jobs; folder and settings of the first are this one's.
    """

    members: Sequence[Job] = ()

    @property
    def command(self) -> list[str]:
        """The words of the process."""
        runs = [
            {"seed": job.config["seed"], "run_dir": str(job.run_dir), "command": job.command[3:]}
            for job in self.members
        ]
        task = json.dumps({"config": self.config, "runs": runs})
        return [sys.executable, "-m", "trainer.sweep.run_seeds", task]


def by_configuration(jobs: Sequence[Job]) -> list[Job]:
    """Return the jobs with those of one configuration as one, in the order of their first."""
    groups: dict[str, list[Job]] = {}
    for job in jobs:
        configuration = json.dumps({**job.config, "seed": None}, sort_keys=True)
        groups.setdefault(configuration, []).append(job)
    return [_together(members) for members in groups.values()]


def check_settings(config: Mapping[str, Any]) -> None:
    """Check a configuration, before anything is built.

    Args:
        config: checked, as plain values.

    Raises:
        ConfigError: for the first setting that does not go with `vectorize=seeds`.
    """
    one_device = "trainer.distribution.single_device"
    accumulate = config["update"]["accumulate_steps"]
    refused = {
        "strategy": (config["strategy"].get("_target_") != one_device, "one device only"),
        "data.feed=streamed": (config["data"]["feed"] == "streamed", "needs data in memory"),
        f"update.accumulate_steps={accumulate}": (accumulate > 1, "has windows that end at times"),
        "precision=mixed_float16": (
            config["precision"] == "mixed_float16",
            "leaves out updates of single seeds",
        ),
        f"profile={config['profile']}": (config["profile"] is not None, "profiles one run"),
        f"duration={config['duration']}": (
            str(config["duration"]).endswith("min"),
            "ends each seed at another step",
        ),
    }
    for what, (is_refused, why) in refused.items():
        if is_refused:
            raise ConfigError(f"vectorize=seeds: {what}: {why}; {_HINT}")


def of_each(jobs: Sequence[Job], outcomes: Mapping[str, Outcome]) -> dict[str, Outcome]:
    """Return the outcomes of single jobs, by name.

    Args:
        jobs: as `by_configuration` returns them.
        outcomes: of those that have ended, by name.
    """
    found: dict[str, Outcome] = {}
    for job in jobs:
        outcome = outcomes.get(job.name)
        for member in job.members if isinstance(job, SeedsJob) else [job]:
            if outcome is not None:
                found[member.name] = _of_member(member, outcome)
    return found


def _of_member(job: Job, outcome: Outcome) -> Outcome:
    if outcome.state == FAILED and has_finished(job.run_dir):
        return Outcome(FINISHED, seconds=outcome.seconds)
    return outcome


def _together(members: Sequence[Job]) -> Job:
    first = members[0]
    if len(members) == 1:
        return first
    seeds = [str(job.config["seed"]) for job in members]
    return SeedsJob(
        name=first.name,
        label=f"{first.label} and {len(seeds) - 1} more seeds",
        words=first.words,
        run_dir=first.run_dir,
        log=first.log,
        config=first.config,
        members=members,
    )
