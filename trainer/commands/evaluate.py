"""Score a run's best weights: evaluate RUN_DIR [split=test] [weights=last] [data.root=DIR ...]."""

from dataclasses import replace
from pathlib import Path

from trainer import config
from trainer.command_parser import CommandParser
from trainer.config import ConfigError
from trainer.console import console

USAGE = "python -m trainer evaluate RUN_DIR [split=test|val|train] [weights=best|last] [KEY=VALUE]"
_ABOUT = (
    "Print a run's metrics on a split (test where there is one, else val), what it does with each "
    "class, its calibration and its worst mistakes. All of it, with pictures, goes to "
    "RUN_DIR/report/ and to TensorBoard. KEY=VALUE is a setting of the run that is different here, "
    "such as data.root=DIR."
)
_BY_DEFAULT = ("test", "val", "train")


def main(arguments: list[str]) -> int:
    """Load a run's weights in this process, score them on a split and write the report.

    Args:
        arguments: the run folder, and `key=value` words: `split`, `weights` (default `best`) and
            any setting of the run that is different here, such as `data.root`.

    Returns:
        0.

    Raises:
        ConfigError: if there is no such run, split or kind of weights.
        RunFolderError: if the report cannot be written.
    """
    parser = CommandParser("evaluate", _ABOUT)
    parser.usage = USAGE
    parser.add_argument("words", nargs="*", metavar="RUN_DIR, KEY=VALUE")
    words = parser.parse_args(arguments).words
    # A sweep names its folders by settings, such as `seed=0`.
    folders = [word for word in words if "=" not in word or Path(word).is_dir()]
    if len(folders) != 1:
        raise ConfigError(f"evaluate: one run folder is needed, received {len(folders)}; {USAGE}")
    run_dir = Path(folders[0])
    settings = dict(word.split("=", 1) for word in words if word not in folders)
    split, weights = settings.pop("split", None), settings.pop("weights", "best")
    cfg = config.load(run_dir, [f"{key}={value}" for key, value in settings.items()])

    from trainer.build import build
    from trainer.manifest import fingerprint_of_split
    from trainer.report import evaluation_files, terminal
    from trainer.report.evaluation import evaluation
    from trainer.split_predictions import predict_split
    from trainer.trained_model import find_weights

    found = find_weights(run_dir, weights)
    built = build(cfg, run_dir=None)
    trainer = built.trainer
    has = trainer.data.feeds
    chosen = split or next(name for name in _BY_DEFAULT if name in has)
    if chosen not in has:
        raise ConfigError(f"split={split}: this data has {', '.join(has)}")
    trainer.load_weights(found)
    num_examples = trainer.data.feed(chosen).num_examples
    line = f"{chosen}: {num_examples:,} examples, {weights} weights (step {found.step:,})"
    if split is None and chosen != _BY_DEFAULT[0]:
        line += "; the data has no test split"
    console.print(line)
    of_best = found.facts["values"] if weights == "best" else {}
    logged = {
        name.partition("/")[2]: value
        for name, value in of_best.items()
        if name.partition("/")[0] == chosen
    }
    metrics = trainer.evaluate(chosen)
    for name, value in metrics.items():
        line = f"  {chosen}/{name:<16} {value:.6f}"
        if name in logged:
            line += f"   (training logged {logged[name]:.6f})"
        console.print(line, soft_wrap=True)
    data = fingerprint_of_split(built.splits[chosen])
    facts = {
        "num_examples": num_examples,
        "fingerprint": data,
        "weights": weights,
        "step": found.step,
        "metrics": metrics,
        "logged": {name: logged[name] for name in metrics if name in logged},
        "notes": [],
    }
    try:
        predictions = replace(predict_split(trainer, chosen), weights=weights, data=data)
    except ValueError as error:
        predictions = None
        facts["notes"] = [f"statistics of the predictions are left out: {error}"]
    result = evaluation(facts, predictions, trainer.data.class_names, built.splits[chosen])
    terminal.show(console, result.facts)
    for note in evaluation_files.write(run_dir, chosen, result, predictions):
        console.print(f"  note: {note}", markup=False, soft_wrap=True)
    console.print(f"  report  {run_dir / 'report' / 'report.md'}", markup=False, soft_wrap=True)
    return 0
