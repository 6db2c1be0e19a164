"""One run from the command line: its folder, its log, its summary."""

import json
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from trainer.build import Built, build
from trainer.config import ConfigError, load
from trainer.console import log_to_console, log_to_file
from trainer.data.class_distribution import (
    ClassDistribution,
    class_distribution,
    plot_class_distribution,
)
from trainer.data.dataset import num_examples
from trainer.disk import write_whole
from trainer.manifest import command_line, manifest
from trainer.report.hparams import FAILED, SUCCEEDED, HParamsSession
from trainer.report.session_settings import session_settings
from trainer.run_lock import run_lock
from trainer.same_run import (
    data_differences,
    differences,
    read_manifest,
    refusal,
    warn_of_another_machine,
)
from trainer.signals import EXIT_CODE_INTERRUPTED
from trainer.trained_model import describe
from trainer.trainer import Trainer

logger = logging.getLogger(__name__)


def run(
    cfg: DictConfig,
    run_dir: Path,
    words: Sequence[str] | None = None,
    prepare: Callable[[Trainer], None] = lambda trainer: None,
) -> float | None:
    """Train as configured, in `run_dir`; go on where it holds a checkpoint.

    Args:
        cfg: as `config.check` returns it.
        run_dir: gets `config.yaml`, `manifest.json`, `train.log`, `metrics.jsonl`, checkpoints and
            TensorBoard's event files.
        words: of the command line that trains this run; None: those of this process.
        prepare: called with what was built, before it is trained.

    Returns:
        The best value of the monitored metric.

    Raises:
        ConfigError: before anything is written, where the configuration cannot be built.
        SystemExit: with code 75, if a signal stopped the run; the same command goes on with it.
    """
    log_to_console()
    with run_lock(run_dir):
        cfg = _as_begun(cfg, run_dir)
        built = build(cfg, run_dir)
        log_file = log_to_file(run_dir / "train.log")
        try:
            classes = class_distribution(built.splits, built.trainer.data.class_names)
            _describe(cfg, built, classes, run_dir, command_line(words))
            with _on_the_hparams_page(cfg, built, run_dir):
                started = time.monotonic()
                first_step = built.trainer.step
                prepare(built.trainer)
                built.trainer.fit(built.duration)
                seconds = time.monotonic() - started
                _summarise(built, run_dir, seconds, first_step, command_line(words))
            # Last, so that neither start-up nor summary waits for it.
            if classes:
                plot_class_distribution(classes, run_dir / "report" / "class_distribution.png")
        except Exception as error:
            # On the terminal it is shown by whoever catches it.
            log_file.handle(logging.makeLogRecord({"levelname": "ERROR", "msg": str(error)}))
            raise
        finally:
            logging.getLogger("trainer").removeHandler(log_file)
            log_file.close()
    if built.trainer.interrupted_by:
        raise SystemExit(EXIT_CODE_INTERRUPTED)
    return built.trainer.best


@contextmanager
def _on_the_hparams_page(cfg: DictConfig, built: Built, run_dir: Path) -> Iterator[None]:
    """Write the run's session: its settings now, and afterwards how it ended."""
    settings = session_settings(run_dir, OmegaConf.to_container(cfg))  # type: ignore[arg-type]
    session = HParamsSession(run_dir, settings)
    try:
        yield
        best = built.trainer.checkpoints.best() if built.trainer.checkpoints else None
        if built.trainer.interrupted_by is None:
            session.end(SUCCEEDED, best.facts["values"] if best else {}, built.trainer.step)
    except Exception:
        session.end(FAILED, {}, built.trainer.step)
        raise
    finally:
        session.close()


def _as_begun(cfg: DictConfig, run_dir: Path) -> DictConfig:
    """Return the configuration to go on with, where the folder holds a run already."""
    if not any(run_dir.glob("checkpoints/*.safetensors")):
        return cfg
    if not (run_dir / "config.yaml").exists():
        logger.warning("%s/config.yaml is gone: the settings of before cannot be compared", run_dir)
        return cfg
    there = load(run_dir)
    containers = [OmegaConf.to_container(config) for config in (there, cfg)]
    differing = differences(*containers)  # type: ignore[arg-type]
    if differing and cfg.resume == "same":
        raise ConfigError(refusal(run_dir, differing))
    for difference in differing:
        logger.info("gone on as the %s says: %s", cfg.resume, difference)
    there.resume = cfg.resume
    return there if cfg.resume == "folder" else cfg


def _describe(
    cfg: DictConfig,
    built: Built,
    classes: ClassDistribution | None,
    run_dir: Path,
    command: str,
) -> None:
    """Write what the run is, to its folder and the terminal."""
    trainer, data = built.trainer, built.trainer.data
    facts = manifest(command, cfg.seed, built.precision, built.splits)
    facts |= describe(data) | {"ingredients": trainer.ingredients}
    if trainer.checkpoints and trainer.checkpoints.has_states:
        before = read_manifest(run_dir / "manifest.json")
        differing = data_differences(before, facts)
        if differing and cfg.resume != "command":
            raise ConfigError(refusal(run_dir, differing))
        warn_of_another_machine(before, facts)
        facts["begun"] = before.get("begun", before.get("started"))
    config = OmegaConf.to_yaml(OmegaConf.merge(cfg, {"resume": "same"}))
    write_whole(run_dir / "config.yaml", config.encode())
    write_whole(run_dir / "manifest.json", json.dumps(facts, indent=2).encode() + b"\n")
    counts = ", ".join(
        f"{split} {num_examples(arrays):,}" for split, arrays in built.splits.items()
    )
    length = trainer.run_length(built.duration)
    num_weights = sum(w.shape.num_elements() for w in trainer.model.trainable_weights)
    logger.info(
        "%s: %s (%s trainable parameters), %s, on %d device(s)",
        cfg.name, trainer.model.name, f"{num_weights:,}", built.precision,
        trainer.strategy.num_replicas_in_sync,
    )  # fmt: skip
    logger.info("data: %s; %s", counts, "; ".join(built.notes))
    if classes:
        logger.info("%s", classes.in_words())
        if warning := classes.warning():
            logger.warning("%s", warning)
    logger.info(
        "steps: %s an epoch of batch size %d, %s in all",
        f"{length.steps_per_epoch:,}", length.global_batch_size,
        f"{length.total_steps:,}" if length.total_steps else "as many as fit",
    )  # fmt: skip
    logger.info("folder: %s", _shown(run_dir))


def _summarise(built: Built, run_dir: Path, seconds: float, first_step: int, command: str) -> None:
    """Say how it went, where everything is and what to type next."""
    trainer, folder = built.trainer, _shown(run_dir)
    num_steps = trainer.step - first_step
    took = f"{seconds // 60:.0f} min {seconds % 60:.0f} s" if seconds >= 60 else f"{seconds:.1f} s"
    lines = []
    if trainer.interrupted_by:
        lines += [f"Stopped by {trainer.interrupted_by} at step {trainer.step:,}, state saved."]
        names_folder = "hydra.run.dir=" in command
        lines += [f"  go on   {command}" + ("" if names_folder else f" hydra.run.dir={folder}")]
    else:
        lines += [f"Done: {num_steps:,} steps in {took}, now at step {trainer.step:,}."]
    best = trainer.checkpoints.best() if trainer.checkpoints else None
    if best:
        values = "  ".join(f"{name} {value:.4f}" for name, value in best.facts["values"].items())
        lines += [f"  best    step {best.step:,} by {trainer.monitor}: {values}"]
        lines += [f"  score   python -m trainer evaluate {folder}"]
    lines += [f"  time    {trainer.stopwatch.in_words()}"]
    notes = [*built.notes, trainer.stopwatch.warning()]
    lines += [f"  note    {note}" for note in notes if note]
    lines += [f"  folder  {folder}", f"  curves  tensorboard --logdir {folder}"]
    logger.info("\n".join(lines))


def _shown(path: Path) -> Path:
    """Return a path as it can be typed here."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
