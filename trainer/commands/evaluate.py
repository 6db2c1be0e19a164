"""Score a run's best weights: evaluate RUN_DIR [split=test] [weights=last] [data.root=DIR ...]."""

from pathlib import Path

from trainer import config
from trainer.config import ConfigError
from trainer.console import console

USAGE = "python -m trainer evaluate RUN_DIR [split=val|test|train] [weights=best|last]"


def main(arguments: list[str]) -> int:
    """Load a run's weights in this process and print its metrics on a split.

    Args:
        arguments: the run folder, and `key=value` words: `split` (default `val`), `weights`
            (default `best`) and any setting of the run that is different here, such as `data.root`.

    Returns:
        0.

    Raises:
        ConfigError: if there is no such run, split or kind of weights.
    """
    # A sweep names its folders by settings, such as `seed=0`.
    folders = [word for word in arguments if "=" not in word or Path(word).is_dir()]
    if len(folders) != 1:
        raise ConfigError(f"evaluate: one run folder is needed, received {len(folders)}; {USAGE}")
    run_dir = Path(folders[0])
    settings = dict(word.split("=", 1) for word in arguments if word not in folders)
    split, weights = settings.pop("split", "val"), settings.pop("weights", "best")
    cfg = config.load(run_dir, [f"{key}={value}" for key, value in settings.items()])

    from trainer.build import build
    from trainer.trained_model import find_weights

    found = find_weights(run_dir, weights)
    trainer = build(cfg, run_dir=None).trainer
    if split not in trainer.data.feeds:
        raise ConfigError(f"split={split}: this data has {', '.join(trainer.data.feeds)}")
    trainer.load_weights(found)
    num_examples = trainer.data.feed(split).num_examples
    console.print(f"{split}: {num_examples:,} examples, {weights} weights (step {found.step:,})")
    logged = found.facts["values"] if weights == "best" else {}
    for name, value in trainer.evaluate(split).items():
        line = f"  {split}/{name:<16} {value:.6f}"
        if f"{split}/{name}" in logged:
            line += f"   (training logged {logged[f'{split}/{name}']:.6f})"
        console.print(line)
    return 0
