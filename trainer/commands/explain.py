"""Show what a run's model looks at: explain RUN_DIR IMAGE... | --embeddings SPLIT."""

import sys
from argparse import Namespace

from trainer.command_parser import CommandParser, run_folder
from trainer.config import ConfigError
from trainer.console import console

ABOUT = (
    "Grad-CAM of image files: pictures in RUN_DIR/report/explain/, one of them all in "
    "RUN_DIR/report/explain.png, and all on TensorBoard's image page. Or, with --embeddings, what "
    "the last dense layer is given for the examples of a split, for TensorBoard's projector. "
    "Exit code: 0 done, 1 if some files could not be read, 2 for wrong usage."
)
SPLITS = ("train", "val", "test")
BATCH_SIZE = 32  # of which the maps of a layer, and their gradients, are kept at a time
LIMIT = 5000  # the projector's pictures and its t-SNE are slow from about 10,000 points on


def main(arguments: list[str]) -> int:
    """Write pictures of heat maps, or the embeddings of a split.

    Args:
        arguments: the words after the command.

    Returns:
        0, or 1 if there were files that could not be read.

    Raises:
        ConfigError: for wrong words, before any work; or if the model is not one to look into.
        CheckpointError: if the weights are damaged.
        RunFolderError: if something cannot be written.
    """
    words = _parser().parse_intermixed_args(arguments)
    if not words.images and not words.embeddings:
        raise ConfigError("explain: give images, or --embeddings SPLIT (train, val or test)")
    for word in words.images if words.embeddings else ():
        if "=" not in word:
            raise ConfigError(f"{word}: --embeddings takes KEY=VALUE, such as data.root=DIR")
    if words.limit is not None and not words.embeddings:
        raise ConfigError(f"--limit {words.limit}: is for --embeddings, not for images")
    if words.limit is not None and words.limit < 1:
        raise ConfigError(f"--limit {words.limit}: at least 1")
    for option, value in (("--layer", words.layer), ("--class", words.class_name)):
        if value is not None and words.embeddings:
            raise ConfigError(f"{option} {value}: is for images, not for --embeddings")

    from trainer.quiet import import_tensorflow

    import_tensorflow()
    return _embeddings(words) if words.embeddings else _images(words)


def _images(words: Namespace) -> int:
    from trainer.images_on_disk import find_images, printable, why_unreadable
    from trainer.predict_images import ImagePredictor
    from trainer.report.explain_images import explain_images
    from trainer.trained_model import load_trained

    paths = find_images(words.images)
    trained = load_trained(words.run_dir, words.weights)
    predictor = ImagePredictor(trained, min(BATCH_SIZE, len(paths)))
    found = explain_images(words.run_dir, trained, predictor, paths, words.layer, words.class_name)
    done = len(paths) - len(found.unread)
    if done:
        console.print(f"Grad-CAM of {found.layer}, {done:,} images", markup=False)
        for file in found.as_taken:
            line = f"  note    {file}: shown in the size that the model takes, not its own"
            console.print(line, markup=False, soft_wrap=True)
        for file in found.empty:
            line = f"  note    {file}: nothing in this layer's map speaks for it (all dark)"
            console.print(line, markup=False, soft_wrap=True)
        console.print(f"  pictures     {found.folder}", markup=False, soft_wrap=True)
        console.print(f"  all          {found.grid}", markup=False, soft_wrap=True)
        board = f"  tensorboard  tensorboard --logdir {words.run_dir}"
        console.print(board, markup=False, soft_wrap=True)
    for row in found.unread:
        reason = why_unreadable(paths[row])
        print(f"{printable(paths[row])}: cannot be read: {reason}", file=sys.stderr)
    return 1 if found.unread else 0


def _embeddings(words: Namespace) -> int:
    from trainer.report.projector import write_embeddings

    run_dir, split, overrides = words.run_dir, words.embeddings, words.images
    written = write_embeddings(run_dir, split, words.limit or LIMIT, words.weights, overrides)
    console.print(
        f"{split}: {written.num_examples:,} embeddings of {written.size} numbers, "
        f"what the layer {written.layer} is given",
        markup=False, soft_wrap=True,
    )  # fmt: skip
    for note in written.notes:
        console.print(f"  note         {note}", markup=False, soft_wrap=True)
    console.print(f"  folder       {written.folder}", markup=False, soft_wrap=True)
    board = f"  tensorboard  tensorboard --logdir {run_dir}, page PROJECTOR"
    console.print(board, markup=False, soft_wrap=True)
    return 0


def _parser() -> CommandParser:
    parser = CommandParser("explain", ABOUT)
    parser.add_argument("run_dir", metavar="RUN_DIR", type=run_folder, help="a run's folder")
    parser.add_argument(
        "images", metavar="IMAGE|FOLDER|GLOB", nargs="*",
        help="as predict takes them; with --embeddings, settings of the run that are different "
        "here, such as data.root=DIR",
    )  # fmt: skip
    parser.add_argument(
        "--layer", metavar="NAME",
        help="a convolution or another layer with a map, such as inception_2a/conv_3x3; default: "
        "what the last convolution ends in, so the block, normalization or ReLU around or after it",
    )  # fmt: skip
    parser.add_argument(
        "--class", metavar="NAME", dest="class_name",
        help="what the heat map is to speak for; default: what is predicted",
    )  # fmt: skip
    parser.add_argument("--embeddings", metavar="SPLIT", choices=SPLITS, help="|".join(SPLITS))
    parser.add_argument(
        "--limit", metavar="N", type=int,
        help=f"embeddings of at most so many examples, spread over the split (default {LIMIT:,})",
    )  # fmt: skip
    parser.add_argument("--weights", choices=("best", "last"), default="best")
    return parser
