"""Compare runs: compare RUN_DIR|FOLDER|GLOB... [--metric NAME] [--split test] [--csv FILE]."""

from pathlib import Path

from trainer.command_parser import CommandParser, run_folder

ABOUT = (
    "Rank finished runs, seeds of the same settings as one, with the settings that differ, "
    "confidence intervals, their learning curves in one picture, and the best as an experiment."
)


def main(arguments: list[str]) -> int:
    """Print a table of runs, the best first, draw them and write the best as an experiment.

    Args:
        arguments: run folders, folders of them or patterns, and options.

    Returns:
        0.

    Raises:
        ConfigError: if no run is found, or there is no such metric.
        RunFolderError: if a file cannot be written.
    """
    parser = CommandParser("compare", ABOUT)
    parser.add_argument("runs", nargs="+", help="run folders, folders of runs, or patterns")
    parser.add_argument("--metric", metavar="NAME", help="ranks them; default: what they monitor")
    parser.add_argument("--mode", choices=("max", "min"), help="what of the metric is best")
    parser.add_argument("--split", choices=("test", "val", "train"), help="whose predictions")
    parser.add_argument("--baseline", type=run_folder, metavar="RUN", help="differences are to it")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="a row a run, full precision")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="the table")
    parser.add_argument("--output", type=Path, metavar="DIR", help="of pictures and best.yaml")
    words = parser.parse_args(arguments)

    from trainer.compare.answer import Options, show

    wanted = vars(words)
    show(wanted.pop("runs"), Options(**wanted))
    return 0
