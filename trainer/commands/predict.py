"""Predict image files with a run's model: predict RUN_DIR IMAGE|FOLDER|GLOB... [--csv FILE]."""

import sys
from contextlib import ExitStack
from pathlib import Path

from rich.progress import Progress

from trainer.command_parser import CommandParser, run_folder
from trainer.config import ConfigError
from trainer.console import console

ABOUT = (
    "Say what a run's model makes of image files: PNG, JPEG, BMP, GIF or WebP of any size, "
    "decoded, resized and standardised as the run's own (so an EXIF orientation is not applied). "
    "Folders are read with all that is in them. Exit code: 0 if all files were read, 1 if some "
    "could not be (they are named, and the others predicted), 2 for wrong usage."
)
TTA = ("none", "flip", "shift", "flip_shift")


def main(arguments: list[str]) -> int:
    """Print the predictions for image files and, if asked, write them all to a CSV file.

    Args:
        arguments: the words after the command.

    Returns:
        0, or 1 if there were files that could not be read.

    Raises:
        ConfigError: for wrong words, before any work; or if the model takes more than an image.
        CheckpointError: if the weights are damaged.
    """
    words = _parser().parse_intermixed_args(arguments)
    if words.top < 1:
        raise ConfigError(f"--top {words.top}: at least 1")
    if words.batch_size is not None and words.batch_size < 1:
        raise ConfigError(f"--batch-size {words.batch_size}: at least 1")
    if words.csv:
        _check_csv(words.csv)

    from trainer.quiet import import_tensorflow

    import_tensorflow()
    from trainer.images_on_disk import find_images, printable, why_unreadable
    from trainer.predict_images import ImagePredictor, default_batch_size
    from trainer.report.predictions_of_files import PredictionTable, csv_of
    from trainer.trained_model import load_trained

    paths = find_images(words.images)
    batch_size = words.batch_size or default_batch_size(words.run_dir, len(paths))
    trained = load_trained(words.run_dir, words.weights)
    predictor = ImagePredictor(trained, batch_size, words.tta)
    table = PredictionTable(predictor.answers, words.top)
    unread = set(range(len(paths)))
    with ExitStack() as stack:
        write = None
        if words.csv:
            write = stack.enter_context(csv_of(words.csv, predictor.answers))
        hidden = not console.is_terminal or len(paths) <= batch_size
        progress = stack.enter_context(Progress(console=console, transient=True, disable=hidden))
        task = progress.add_task("images", total=len(paths))
        for rows, _, predictions in predictor.files(paths):
            for place, row in enumerate(rows):
                of_file = {name: array[place] for name, array in predictions.items()}
                table.add(paths[row], of_file)
                if write:
                    write(paths[row], of_file)
            unread.difference_update(rows.tolist())
            progress.update(task, completed=int(rows[-1]) + 1)
    if len(unread) < len(paths):
        table.show(console)
    for row in sorted(unread):
        reason = why_unreadable(paths[row])
        print(f"{printable(paths[row])}: cannot be read: {reason}", file=sys.stderr)
    if unread:
        print(f"{len(unread):,} of {len(paths):,} files could not be read", file=sys.stderr)
    return 1 if unread else 0


def _check_csv(path: Path) -> None:
    try:
        is_folder = path.is_dir()
    except OSError as error:
        raise ConfigError(f"--csv {path}: cannot be written ({error.strerror})") from error
    if is_folder:
        raise ConfigError(f"--csv {path}: a folder; give the name of a file")


def _parser() -> CommandParser:
    parser = CommandParser("predict", ABOUT)
    parser.add_argument("run_dir", metavar="RUN_DIR", type=run_folder, help="a run's folder")
    parser.add_argument("images", metavar="IMAGE|FOLDER|GLOB", nargs="+", help="what to predict")
    parser.add_argument("--top", type=int, default=3, help="classes named an image (default 3)")
    parser.add_argument(
        "--csv", metavar="FILE", type=Path,
        help="also write all predictions, one row an image that could be read: file, class, "
        "probability, and the probability of each class (yes-or-no labels: those above 0.5; "
        "regression: the values; several outputs: each under its name)",
    )  # fmt: skip
    parser.add_argument("--weights", choices=("best", "last"), default="best")
    parser.add_argument(
        "--tta", choices=TTA, default="none",
        help="test-time augmentation: the mean over the image and its mirror image (flip), it and "
        "four shifted by a sixteenth of the side (shift), or both",
    )  # fmt: skip
    parser.add_argument(
        "--batch-size", metavar="N", type=int, help="images at a time (default: the run's own)"
    )
    return parser
