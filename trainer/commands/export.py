"""Write a run's model as a file to use elsewhere: export RUN_DIR --format FORMAT [--check]."""

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from trainer.command_parser import CommandParser, run_folder
from trainer.console import console
from trainer.export.formats import FOLDER, FORMATS, check_installed, check_output
from trainer.suggestions import nearest

if TYPE_CHECKING:
    from trainer.export.chosen import Chosen
    from trainer.export.export import Exported

FAILED = 1
ABOUT = """\
Write the model of a run as a file to use elsewhere, with a card (JSON) that says what it takes and
gives.

keras and weights hold the model itself, to be loaded where this project's code is: standardised
inputs in, logits or values out. savedmodel, tflite and onnx need none of it: `image` is uint8
[B, H, W, C], pixels as they come; scaling, standardisation and softmax or sigmoid are inside, and
the class names and the card are in the file. All compute in float32.
"""


def main(arguments: list[str]) -> int:
    """Export one format.

    Args:
        arguments: RUN_DIR and options, see `--help`.

    Returns:
        0; 1 if the format cannot hold the model, or what was written is not the model.

    Raises:
        ConfigError: if there is no such run, format or kind of weights, or a package is missing.
        CheckpointError: if the weights are damaged.
        RunFolderError: if the file cannot be written.
    """
    words = _parser().parse_args(arguments)
    run_dir, chosen_format = words.run_dir, FORMATS[words.format]
    output = words.output or chosen_format.default_output(run_dir)
    check_output(output, words.format, words.overwrite)
    needed = [*chosen_format.written_with, *(chosen_format.read_with if words.check else ())]
    check_installed(needed)

    from trainer.quiet import import_tensorflow

    import_tensorflow()
    from trainer.export.chosen import choose
    from trainer.export.export import ExportError, export

    chosen = choose(run_dir, words.weights, words.ema)
    lines: list[str] = []

    def check(exported: "Exported") -> None:
        lines.extend(_checked(exported, chosen, run_dir))

    try:
        exported = export(run_dir, chosen, words.format, output, check if words.check else None)
    except ExportError as error:
        print(error, file=sys.stderr)
        return FAILED
    for line in [*_described(exported, chosen), *lines]:
        console.print(line, soft_wrap=True, markup=False)
    return 0


def _parser() -> CommandParser:
    parser = CommandParser("export", ABOUT)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("run_dir", metavar="RUN_DIR", type=run_folder, help="the folder of a run")
    parser.add_argument(
        "--format", required=True, type=_format, metavar="|".join(FORMATS), help="what is written"
    )
    parser.add_argument(
        "--output",
        type=Path,
        metavar="PATH",
        help=f"the file, or the folder of a savedmodel (default: in RUN_DIR/{FOLDER})",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace what is there")
    parser.add_argument(
        "--weights",
        choices=("best", "last"),
        default="best",
        help="those that scored best, or those of the last checkpoint (default: best)",
    )
    parser.add_argument(
        "--ema",
        action=argparse.BooleanOptionalAction,
        help="the moving average of the weights, refused where the run kept none (update.ema_decay "
        "was null); --no-ema: the weights as they were trained, of the last step alone where the "
        "run scored averages (default: what the run scored, the average where it kept one)",
    )
    parser.add_argument(
        "--check",
        action="store_true",
        help="load the file in a fresh process, a serving format without the project's code, and "
        "compare its predictions with the run's model; where they differ by more than rounding, "
        "nothing is left and the exit code is 1",
    )
    return parser


def _format(text: str) -> str:
    if text not in FORMATS:
        raise argparse.ArgumentTypeError(f"no format {text}; {nearest(text, FORMATS)}")
    return text


def _described(exported: "Exported", chosen: "Chosen") -> list[str]:
    from trainer.export.export import card_beside

    path, facts = exported.path, json.loads(exported.card)
    is_folder = path.is_dir()
    files = [file for file in path.rglob("*") if file.is_file()] if is_folder else [path]
    size = sum(file.stat().st_size for file in files) / 1e6
    average = ", moving average" if chosen.is_average else ""
    inside = path / "assets.extra" / "card.json" if is_folder else card_beside(path)
    return [
        f"{exported.name}: {chosen.kind} weights (step {chosen.trained.step:,}{average}), float32",
        *(f"  takes   {_tensor(one)}: {one['content']}" for one in facts["inputs"]),
        *(f"  gives   {_tensor(one)}: {one['content']}" for one in facts["outputs"]),
        f"  file    {path} ({size:,.1f} MB)",
        f"  card    {inside}",
    ]


def _tensor(one: dict) -> str:
    shape = ", ".join("B" if size is None else str(size) for size in one["shape"])
    return f"{one['name']} {one['dtype']} [{shape}]"


def _checked(exported: "Exported", chosen: "Chosen", run_dir: Path) -> list[str]:
    from trainer.export.check import NUM_EXAMPLES, check, precision_costs

    finding = check(exported, chosen.trained, run_dir)
    without = "without the project's code" if FORMATS[exported.name].is_serving else "with the code"
    lines = [
        f"  check   largest difference {finding.difference:.2g} (allowed {finding.tolerance:g}) "
        f"over {NUM_EXAMPLES} examples; {finding.reader} in a fresh process, {without}"
    ]
    if finding.num_weights is not None:
        lines.append(f"  check   all {finding.num_weights} variables equal to the bit")
    costs = precision_costs(run_dir, chosen)
    if costs:
        lines.append(f"  note    {costs[0]}, as the run computed, is {costs[1]:.2g} from float32")
    return lines
