"""The best setting as an experiment: a file that composes to the configuration of its runs."""

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import yaml  # type: ignore[import-untyped]

from trainer.compare.best_command import best_command, words_of
from trainer.compare.comparison import Comparison
from trainer.compare.figures import number
from trainer.compare.past_run import read_config
from trainer.config import COLLECTIONS
from trainer.help import HOME, group_options
from trainer.printable import printable

_CONF = HOME / "conf"
_AFTER_EXPERIMENTS = ("debug",)
"""Groups that the configuration lists behind `experiment`: no experiment can override those."""
_OPTION = re.compile(r"[\w./-]+")
_OPTIONS = re.compile(r"\[\s*([\w./-]+(?:\s*,\s*[\w./-]+)*)\s*\]")


def best_experiment(comparison: Comparison) -> str:
    """Return the text of an experiment with the settings of the best group, without the seed.

    It inherits from the experiment that the runs were started with. Where both override a group,
    Hydra takes the option of the one that inherits.

    Args:
        comparison: with at least one group.

    Raises:
        ValueError: in one line, if the command has something that a file cannot say.
    """
    best = comparison.groups[0]
    words = words_of(best)
    if words is None:
        raise ValueError(f"{best.runs[0].folder}/manifest.json has no command of a single run")
    mean, std, runs = best.mean(comparison.metric), best.std(comparison.metric), len(best.runs)
    found = number(mean) if std is None else f"{number(mean)} ± {number(std)}"
    header = [
        f"The best of {len(comparison.groups)} settings that were compared.",
        "",
        f"Command:   {best_command(best)}",
        f"Result:    {comparison.metric} {'of unknown value' if math.isnan(mean) else found} "
        f"(n={runs}, the best weights of each run)",
        "",
        "To train it with experiment=NAME, copy it to conf/experiment/NAME.yaml.",
    ]
    lines = ["# @package _global_", "#", *(f"# {printable(line)}".rstrip() for line in header)]
    return "\n".join(lines) + "\n" + experiment(words, read_config(best.runs[0].folder))


def experiment(words: Sequence[str], config: Mapping[str, Any]) -> str:
    """Return the part of an experiment below its header.

    Args:
        words: of a command line, after `python -m trainer`.
        config: as the run has it; values are taken from it, so that they have their types.

    Raises:
        ValueError: naming the word that a file cannot say.
    """
    groups = group_options(_CONF)
    bases, overridden, added = [_default_experiment()], dict[str, str](), list[str]()
    values: dict[str, Any] = {}
    for word in words:
        name, _, option = word.partition("=")
        key = name.lstrip("+~")
        if word.startswith("-") or key == "hydra.searchpath" or not re.fullmatch(r"[\w.-]+", key):
            if key.startswith("hydra/"):
                continue
            raise ValueError(f"{word} cannot be said in an experiment")
        if key.startswith("hydra."):
            continue
        if key in groups and not option.startswith("{"):
            options = [] if name.startswith("~") else _options(word, option)
            if key == "experiment":
                bases = options
            elif key in _AFTER_EXPERIMENTS:
                added = [f"/{key}/{one}" for one in options]
            else:
                overridden[key] = option if options else "null"
        elif name.startswith("~"):
            if not _is_entry(key):
                raise ValueError(f"{word}: an experiment can change settings, not remove them")
            _put(values, key, None)
        else:
            _put(values, key, _value(config, key, word))
    lines = ["defaults:", *(f"  - {entry}" for entry in (*bases, *added))]
    lines += [f"  - override /{group}: {option}" for group, option in overridden.items()]
    lines += ["  - _self_", ""]
    text = yaml.dump(values, Dumper=_Dumper, sort_keys=False, allow_unicode=True)
    return "\n".join(lines) + (f"\n{text}" if values else "")


def _default_experiment() -> str:
    defaults = yaml.safe_load((_CONF / "config.yaml").read_text())["defaults"]
    return next(e["experiment"] for e in defaults if isinstance(e, dict) and "experiment" in e)


def _options(word: str, option: str) -> list[str]:
    """Return the options that a word chooses, one or several."""
    if several := _OPTIONS.fullmatch(option):
        return [one.strip() for one in several[1].split(",")]
    if not _OPTION.fullmatch(option):
        raise ValueError(f"{word} cannot be said in an experiment")
    return [option]


def _is_entry(key: str) -> bool:
    """Return whether a key is an entry of a collection, which null takes away."""
    return key.partition(".")[0] in COLLECTIONS and key.count(".") == 1


def _value(config: Mapping[str, Any], key: str, word: str) -> Any:
    node: Any = config
    for part in key.split("."):
        if not isinstance(node, Mapping) or part not in node:
            if _is_entry(key):
                return None
            raise ValueError(f"{word}: the run's config.yaml has no such setting")
        node = node[part]
    return node


def _put(values: dict[str, Any], key: str, value: Any) -> None:
    *path, last = key.split(".")
    node = values
    for part in path:
        inner = node.get(part)
        # A copy, since what a word before set as a whole is the configuration's own.
        node[part] = dict(inner) if isinstance(inner, dict) else {}
        node = node[part]
    node[last] = value


class _Dumper(yaml.SafeDumper):
    """Writes text so that Hydra reads text: to its YAML, unlike to the library's, 1e-3 is one."""

    def ignore_aliases(self, data: Any) -> bool:
        """Write everything out."""
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    try:
        float(text.replace("_", ""))
    except ValueError:
        return dumper.represent_str(text)
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"')


_Dumper.add_representer(str, _text)
