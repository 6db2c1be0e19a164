"""Show what would be trained: describe [experiment=NAME KEY=VALUE ... | RUN_DIR] [--depth N]."""

import argparse
from pathlib import Path
from typing import Any

from trainer import config
from trainer.command_parser import CommandParser
from trainer.compose import compose
from trainer.config import ConfigError
from trainer.console import console, log_to_console


def main(arguments: list[str]) -> int:
    """Show layers, memory, data, steps and learning rate before training; nothing is trained.

    Args:
        arguments: what training takes (`experiment=...`, any setting), or a run folder and settings
            that are different here, such as `data.root`; `--depth N` for layers within layers.

    Returns:
        0.

    Raises:
        ConfigError: in one line, for what cannot be trained with.
        RunFolderError: if the files cannot be written.
    """
    parser = CommandParser("describe", "Show what would be trained, before anything is.")
    parser.add_argument(
        "words", nargs="*", metavar="WORD",
        help="experiment=NAME and KEY=VALUE as for training, or RUN_DIR for the run's own",
    )  # fmt: skip
    parser.add_argument(
        "--depth", type=_depth, metavar="N",
        help="how deep layers within layers are listed (default: as reads well)",
    )  # fmt: skip
    parsed = parser.parse_intermixed_args(arguments)
    cfg, folder = _configuration(parsed.words)

    from trainer.build import build
    from trainer.describe.description import describe, write

    log_to_console()
    with console.status("reading the data, building the model"):
        sections = describe(build(cfg, run_dir=None), folder, parsed.depth)
    write(sections, folder / "describe.md", cfg.name)
    console.print(f"[bold]{cfg.name}[/bold], before training")
    for section in sections:
        section.show(console)
    files = ["describe.md", "layers.csv", *(s.picture for s in sections if s.picture)]
    console.print(f"\nfolder  {folder}", soft_wrap=True)
    console.print(f"  {', '.join(files)}")
    return 0


def _depth(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text}: must be a whole number, at least 1")
    return int(text)


def _configuration(words: list[str]) -> tuple[Any, Path]:
    """Return the configuration, and where its description goes."""
    # A sweep names its folders by settings, such as `seed=0`.
    folders = [word for word in words if Path(word).is_dir()]
    for word in words:
        if word not in folders and "=" not in word and not word.startswith("~"):
            raise ConfigError(f"{word}: neither KEY=VALUE nor the folder of a run")
    if len(folders) > 1:
        raise ConfigError(f"describe: one run folder at most, received {', '.join(folders)}")
    others = [word for word in words if word not in folders]
    if folders:
        run_dir = Path(folders[0])
        return config.load(run_dir, others), run_dir / "describe"
    cfg, run_dir = compose(others)
    return cfg, run_dir / "describe"
