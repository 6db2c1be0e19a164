"""Prove that a killed run ends as one never stopped: verify_resume [kills=20] [KEY=VALUE ...]."""

import json
import random
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainer.compose import compose, divide
from trainer.config import ConfigError
from trainer.console import console
from trainer.durations import Duration

if TYPE_CHECKING:
    from trainer.verify.attempt import Attempt
    from trainer.verify.kills import Report
    from trainer.verify.verdict import Verdict

FAILED = 1


def main(arguments: Sequence[str]) -> int:
    """Train without a stop and killed at random moments, and compare all that is left, to the bit.

    Args:
        arguments: what training takes (`experiment=...`, any setting), and of its own `kills`, how
            often the run is killed (default 20); `seed_of_kills`, which the moments are drawn from
            (default 0); `control=false` to leave out the check of the check.

    Returns:
        0 if everything is equal, and the control is not; else 1.

    Raises:
        ConfigError: in one line, for what cannot be verified.
    """
    defaults = {"kills": "20", "seed_of_kills": "0", "control": "true"}
    own, words = divide(arguments, defaults)
    num_kills = _count("kills", own["kills"], at_least=1)
    seed = _count("seed_of_kills", own["seed_of_kills"], at_least=0)
    if own["control"] not in ("true", "false"):
        raise ConfigError(f"control={own['control']}: must be true or false")
    if not _given("checkpoint_every", words):
        # More than two a kill, so that the run gets on between kills however short it is; not two
        # exactly, which would often be whole epochs, and those are what is easily resumed.
        words.append(f"checkpoint_every={43 / num_kills:.6g}%")
    cfg, folder = compose(words)
    _check(cfg, folder)

    from trainer.verify.attempt import RunFailedError

    try:
        verdict = _verify(words, cfg, folder, num_kills, seed, own["control"] == "true")
    except RunFailedError as error:
        print(error, file=sys.stderr)
        return FAILED
    _show(verdict, folder)
    return FAILED if verdict.failures else 0


def _verify(
    words: list[str], cfg: Any, folder: Path, num_kills: int, seed: int, has_control: bool
) -> "Verdict":
    from trainer.manifest import command_line
    from trainer.verify.comparison import compare
    from trainer.verify.kills import run_killed, run_killed_once, run_whole
    from trainer.verify.verdict import Verdict

    # Each run has a folder of its own, and says itself which side wins there.
    words = _without(words, "hydra.run.dir", "resume")
    whole, killed, wrong = (folder / name for name in ("whole", "killed", "control"))
    started = time.monotonic()
    console.print(f"{cfg.name}: {num_kills} kills, checkpoint_every={cfg.checkpoint_every}")
    with console.status("") as status:

        def report(name: str, num: int) -> "Report":
            def update(done: int, attempt: "Attempt") -> None:
                kill = f"kill {done + 1} of {num}, " if done < num else ""
                status.update(f"{name}: {kill}step {attempt.step:,}, {attempt.seconds:.0f} s")

            return update

        course = run_whole(words, whole, num_kills, report("whole", 0))
        console.print(f"  whole     {course.num_steps:,} steps, {_took(started)}")
        began = time.monotonic()
        rng = random.Random(seed)
        kills, last_resume = run_killed(
            words, killed, num_kills, course, rng, report("killed", num_kills)
        )
        console.print(f"  killed    {len(kills)} times, {_took(began)}")
        control = None
        if has_control:
            began = time.monotonic()
            changed = [*_without(words, "seed"), f"seed={cfg.seed + 1}", "resume=command"]
            step = run_killed_once(words, changed, wrong, course, report("control", 1))
            control = compare(whole, wrong)[0] if step else None
            console.print(f"  control   gone on wrongly at step {step}, {_took(began)}")
    verdict = Verdict(
        num_kills, course, kills, last_resume, compare(whole, killed), has_control, control
    )
    facts = {"command": command_line(), "seconds": round(time.monotonic() - started, 1)}
    text = json.dumps(facts | verdict.facts(), indent=2)
    (folder / "verify_resume.json").write_text(text + "\n")
    return verdict


def _show(verdict: "Verdict", folder: Path) -> None:
    console.print(verdict.table())
    for line in verdict.lines():
        console.print(f"  {line}", soft_wrap=True, markup=False)
    for line in verdict.failures:
        console.print(f"  FAILED    {line}", style="red", soft_wrap=True, markup=False)
    if not verdict.failures:
        console.print("  equal     to the bit: the killed run ended as the one never stopped")
    console.print(f"  folder    {folder}", soft_wrap=True, markup=False)


def _check(cfg: Any, folder: Path) -> None:
    """Check what two runs must have to be comparable at all."""
    for key in ("duration", "eval_every"):
        value = cfg[key]
        if value is not None and Duration.parse(value).is_wall_time:
            raise ConfigError(
                f"{key}={value}: no two runs do the same in the same time; give steps or epochs"
            )
    if any((folder / name).exists() for name in ("whole", "killed", "control")):
        raise ConfigError(
            f"hydra.run.dir={folder}: holds a verification already; remove it, or choose another"
        )


def _count(name: str, text: str, at_least: int) -> int:
    if not text.isdecimal() or int(text) < at_least:
        raise ConfigError(f"{name}={text}: must be a whole number, at least {at_least}")
    return int(text)


def _given(key: str, words: Sequence[str]) -> bool:
    return len(_without(words, key)) < len(words)


def _without(words: Sequence[str], *keys: str) -> list[str]:
    return [word for word in words if word.partition("=")[0].lstrip("+~") not in keys]


def _took(since: float) -> str:
    return f"{time.monotonic() - since:.0f} s"
