"""Kills a run at random moments, and starts it again each time, until it is done."""

import json
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from trainer.verify.attempt import Attempt
from trainer.verify.comparison import is_evaluation

START_UP, TRAINING, EVALUATION, CHECKPOINT = "start-up", "training", "evaluation", "checkpoint"
PHASES = (START_UP, TRAINING, EVALUATION, CHECKPOINT)
_WEIGHTS = (15, 45, 15, 25)
"""How often each is aimed at, in percent. Where a kill hits is told by what it leaves behind."""

_POLL_SECONDS = {START_UP: 0.005, TRAINING: 0.001, EVALUATION: 0.0005, CHECKPOINT: 0.0002}
"""A small checkpoint is written in a few milliseconds, so one has to look often."""
_WRITING_SECONDS = 0.002
"""How far into the writing of a checkpoint a kill is put off at most."""


@dataclass(frozen=True)
class Course:
    """What an uninterrupted run tells about where a killed one can be hit.

    Args:
        num_steps: of the whole run.
        steps_per_epoch: of its data.
        evaluated_steps: after which it evaluates.
        seconds_to_first_step: from its start until the first row.
        seconds_of_evaluation: that its first one takes, with the trace that each process makes.
        seconds_between_kills: that its steps take, divided by the kills and one.
    """

    num_steps: int
    steps_per_epoch: int
    evaluated_steps: frozenset[int]
    seconds_to_first_step: float
    seconds_of_evaluation: float
    seconds_between_kills: float


@dataclass(frozen=True)
class Moment:
    """When to kill.

    Args:
        phase: what is to be hit.
        step: what the process has to show before.
        seconds: to wait then.
        latest_step: at which it is killed though no checkpoint was seen; None: at `step`.
    """

    phase: str
    step: int
    seconds: float
    latest_step: int | None = None


@dataclass(frozen=True)
class Kill:
    """What a kill hit.

    Args:
        aimed_at: the phase that was to be hit.
        hit: the phase that was hit, as what it left behind tells.
        step: the last step that the process had shown.
        resumed_at: the step of the checkpoint that it had gone on from; None if from none.
        seconds: how old the process was.
    """

    aimed_at: str
    hit: str
    step: int
    resumed_at: int | None
    seconds: float


Report = Callable[[int, Attempt], None]
"""Called again and again while a process runs: `(kills so far, process)`."""


def run_whole(words: Sequence[str], run_dir: Path, num_kills: int, report: Report) -> Course:
    """Run without a kill.

    Args:
        words: of the command line.
        run_dir: where to; empty or absent.
        num_kills: that a later run is to survive.
        report: called while it runs.

    Raises:
        RunFailedError: if it fails.
    """
    seconds_to_first_step = None
    with Attempt(words, run_dir, _log(run_dir, 0)) as attempt:
        while attempt.is_running():
            if seconds_to_first_step is None and attempt.last_row:
                seconds_to_first_step = attempt.seconds
            report(0, attempt)
            time.sleep(0.02)
        seconds = attempt.seconds
    rows = [json.loads(line) for line in (run_dir / "metrics.jsonl").open()]
    evaluations = [row for row in rows if is_evaluation(row)]
    last = evaluations[-1]
    return Course(
        num_steps=last["step"],
        steps_per_epoch=round(last["step"] / last["epoch"]),
        evaluated_steps=frozenset(row["step"] for row in evaluations),
        seconds_to_first_step=seconds_to_first_step or seconds,
        seconds_of_evaluation=evaluations[0].get("time/evaluation", 0.0),
        seconds_between_kills=last.get("time/steps", 0.0) / (num_kills + 1),
    )


def run_killed(
    words: Sequence[str],
    run_dir: Path,
    num_kills: int,
    course: Course,
    rng: random.Random,
    report: Report,
) -> tuple[list[Kill], int | None]:
    """Run, killed again and again, and at last to the end.

    Args:
        words: of the command line, the same each time.
        run_dir: where to; empty or absent.
        num_kills: how often it is killed, unless it is done before.
        course: of the same run without a kill.
        rng: what the moments are drawn from.
        report: called while it runs.

    Returns:
        The kills, fewer than asked for if the run was done before; and the step at which the last
        process had gone on.

    Raises:
        RunFailedError: if it fails other than by a kill.
    """
    kills: list[Kill] = []
    while True:
        with Attempt(words, run_dir, _log(run_dir, len(kills) + 1)) as attempt:
            if len(kills) == num_kills:
                while attempt.is_running():
                    report(len(kills), attempt)
                    time.sleep(0.02)
                return kills, attempt.resumed_at()
            moment = choose(rng, course, attempt.checkpoint_step, num_kills - len(kills))
            if not _kill_at(moment, attempt, lambda a: report(len(kills), a)):
                return kills, attempt.resumed_at()
            kills.append(
                Kill(
                    aimed_at=moment.phase,
                    hit=_phase_hit(attempt, course),
                    step=attempt.step,
                    resumed_at=attempt.resumed_at(),
                    seconds=round(attempt.seconds, 3),
                )
            )


def run_killed_once(
    words: Sequence[str], changed: Sequence[str], run_dir: Path, course: Course, report: Report
) -> int | None:
    """Kill a run in its midst and finish it with other words.

    Args:
        words: of the command line until the kill.
        changed: the words after it.
        run_dir: where to; empty or absent.
        course: of the same run without a kill.
        report: called while it runs.

    Returns:
        The step of the checkpoint that was gone on from; None if there was none before the end.

    Raises:
        RunFailedError: if it fails other than by the kill.
    """
    with Attempt(words, run_dir, _log(run_dir, 1)) as attempt:
        while not any((run_dir / "checkpoints").glob("step_*.safetensors")):
            if not attempt.is_running():
                return None
            report(0, attempt)
            time.sleep(0.001)
        if not attempt.kill():
            return None
    with Attempt(changed, run_dir, _log(run_dir, 2)) as attempt:
        while attempt.is_running():
            report(1, attempt)
            time.sleep(0.02)
        step = attempt.resumed_at()
    return step if step is not None and step < course.num_steps else None


def choose(rng: random.Random, course: Course, checkpoint_step: int, kills_left: int) -> Moment:
    """Draw the next moment, near enough that the steps suffice for the kills that are left.

    Args:
        rng: what it is drawn from.
        course: of the run without a kill.
        checkpoint_step: where the process goes on from.
        kills_left: this one and those to come.
    """
    phase = rng.choices(PHASES, _WEIGHTS)[0]
    remaining = course.num_steps - checkpoint_step
    if remaining <= 0:
        # Nothing is left to hit: a kill of this process would be no test.
        return Moment(TRAINING, course.num_steps + 1, 0.0)
    # Less than an even share on average: a quick run goes on while one looks.
    reach = max(1, min(remaining - 1, round(1.5 * remaining / (kills_left + 1))))
    step = checkpoint_step + rng.randint(1, reach)
    if phase == EVALUATION:
        # The first of a process, which is traced: the others may take no time at all.
        near = [s for s in course.evaluated_steps if checkpoint_step < s <= checkpoint_step + reach]
        if near:
            return Moment(phase, min(near), rng.uniform(0, course.seconds_of_evaluation / 2))
        phase = TRAINING
    if phase == START_UP:
        return Moment(phase, checkpoint_step, rng.uniform(0, course.seconds_to_first_step))
    if phase == CHECKPOINT:
        latest_step = checkpoint_step + (reach + remaining) // 2
        return Moment(phase, step, rng.uniform(0, _WRITING_SECONDS), latest_step)
    # Rows show up chunk by chunk, and a chunk lasts a second at most: wait for some part of it.
    return Moment(phase, step, rng.uniform(0, min(1.0, course.seconds_between_kills)))


def _kill_at(moment: Moment, attempt: Attempt, report: Callable[[Attempt], None]) -> bool:
    """Wait for the moment and kill; return False where the run was done before."""
    pause, last_report = _POLL_SECONDS[moment.phase], 0.0
    while not _has_come(moment, attempt):
        if not attempt.is_running():
            return False
        if attempt.seconds - last_report > 0.2:
            last_report = attempt.seconds
            report(attempt)
        time.sleep(pause)
    time.sleep(moment.seconds)
    return attempt.kill()


def _has_come(moment: Moment, attempt: Attempt) -> bool:
    if moment.phase == START_UP:
        return True
    if attempt.last_row is None or attempt.step < moment.step:
        return False
    if moment.latest_step is None or attempt.step >= moment.latest_step:
        return True
    return attempt.is_writing_checkpoint()


def _phase_hit(attempt: Attempt, course: Course) -> str:
    """Return what a process was at when it was killed, by the files that it has left."""
    if attempt.is_writing_checkpoint():
        return CHECKPOINT
    row = attempt.last_row
    if row is None:
        return START_UP
    is_last_before = row["step"] in course.evaluated_steps and not is_evaluation(row)
    return EVALUATION if is_last_before else TRAINING


def _log(run_dir: Path, number: int) -> Path:
    return run_dir.parent / "logs" / f"{run_dir.name}_{number:03d}.log"
