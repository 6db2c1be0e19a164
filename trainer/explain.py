"""One line for what Hydra raises before a run begins: the word, what is wrong, the nearest name.

It reads the exceptions by their attributes and texts, and imports neither Hydra nor OmegaConf.
"""

import re
from collections.abc import Mapping, Sequence

from trainer.suggestions import nearest, nearest_setting


def explain(
    error: BaseException,
    words: Sequence[str],
    groups: Mapping[str, Sequence[str]],
    known: Sequence[str] = (),
) -> str:
    """Return what is wrong with a command line or a configuration file, in one line.

    Args:
        error: what was raised while the configuration was composed.
        words: the command line.
        groups: group to options, as in conf/.
        known: the dotted settings beside the one that `error` does not find.
    """
    text = str(error)
    first_line = text.splitlines()[0] if text else type(error).__name__
    options = getattr(error, "options", None)
    if options:  # an option that has no file; these include what --config-dir adds
        group, _, option = error.missing_cfg_file.rpartition("/")  # type: ignore[attr-defined]
        return f"{group}={option}: no such option; {nearest(option, options)}"
    key = getattr(error.__cause__, "full_key", None)
    if key:
        return f"{_word(key, words)}: no such setting; {nearest_setting(key, [*known, *groups])}"
    word = getattr(error, "override", None)
    if word:
        return f"{word}: not KEY=VALUE, such as seed=1; put quotes around special characters"
    if match := re.match(r"Ambiguous value for argument '(.+?)=(.+)'", first_line):
        name, value = match.groups()
        return f"{name}={value}: several values; add -m to try each, or write {name}=[{value}]"
    if match := re.search(r"Could not override '([^'@]+)'\. No match", first_line):
        return f"{first_line.partition('. ')[0]}; {nearest(match[1], groups)}"
    if match := re.match(r"(.*Could not override '(\w+)@(?!hydra).*?')", first_line):
        return f"{match[1]}; the file must begin with `# @package _global_`"
    if match := re.match(r"(\S+) appears more than once", first_line):
        return f"{match[1]}: given twice; write {match[1]}=OPTION without the +"
    if match := re.match(r"Could not append to config. An item is already at '(.+)'", first_line):
        return f"{_word(match[1], words)}: there already; leave out the +"
    if match := re.match(r"Could not delete from config. '(.+?)'", first_line):
        return f"~{match[1]}: there is no such setting to leave out"
    if "group override must be a string" in first_line:
        word = next((w for w in words if w.partition("=")[0] in groups), "")
        group = word.partition("=")[0]
        return f"{word}: a group takes an option; {nearest('', groups.get(group, ()))}"
    if hasattr(error, "problem_mark"):  # YAML that cannot be read: the place is in the last line
        return " ".join(text.split())
    where = getattr(error, "full_key", None)
    return f"{where}: {first_line}" if where else first_line


def _word(key: str, words: Sequence[str]) -> str:
    """Return the word of the command line that sets `key`, or something inside it."""
    for word in words:
        name = word.lstrip("+~").partition("=")[0]
        if name == key or name.startswith(f"{key}."):
            return word
    return key
