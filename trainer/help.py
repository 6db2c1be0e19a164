"""The page of `python -m trainer --help`, written from the files it describes, read as text.

It imports neither Hydra nor TensorFlow, nor anything of this package, so it is there at once.
"""

import ast
import re
import textwrap
from pathlib import Path

HOME = Path(__file__).resolve().parent.parent
WIDTH = 98

_HEAD = """\
TapeLoop trains TensorFlow 2 / Keras 3 models with custom training loops.

USAGE
  python -m trainer [GROUP=OPTION ...] [KEY=VALUE ...]     train
  python -m trainer COMMAND ...                            the commands below

EXAMPLES
  python -m trainer                                        handwritten digits, in about a minute
  python -m trainer experiment=cifar_inception             CIFAR-10, downloaded at the first use
  python -m trainer experiment=cifar_inception optimizer=adamw duration=20ep data.root=DIR
  python -m trainer -m experiment=digits optimizer.learning_rate=0.1,0.01 seed=0,1,2     a sweep
  python -m trainer lr_find experiment=cifar_inception     which learning rate to train with
  tensorboard --logdir outputs

HOW TO CHANGE A RUN
  GROUP=OPTION          takes a file: optimizer=adamw takes conf/optimizer/adamw.yaml
  GROUP.KEY=VALUE       changes a value in it: optimizer.learning_rate=0.01 data.batch_size=64
  KEY=VALUE             changes a setting: seed=1 duration=20ep
  callbacks.NAME=null   leaves out an entry of callbacks, metrics or augment
  The command line wins over the experiment, and that over conf/config.yaml and the groups. The
  experiment is digits unless another is chosen.

FLAGS
  -m, --multirun        run every combination of the values that commas separate
  --cfg job             print the configuration and stop: what would run?
  --config-dir DIR      look for options in DIR too, laid out as conf/ is
  --hydra-help          all flags of Hydra, which composes the configuration
"""

_TAIL = """\
WHERE IT GOES
  outputs/NAME/DATE_TIME/, or hydra.run.dir=DIR. In a DIR that holds a checkpoint, the run goes on.

EXIT CODES
  0 done, 1 failed, 2 wrong usage or configuration, 75 stopped by a signal: run it again to go on
"""


def page(conf: Path = HOME / "conf", commands: Path = HOME / "trainer" / "commands") -> str:
    """Return the whole page.

    Args:
        conf: the configuration: config.yaml, and a folder of options for each group.
        commands: the folder with one Python file a command.
    """
    sections = [_HEAD]
    if command_names(commands):
        rows = [(name, _purpose(commands / f"{name}.py")) for name in command_names(commands)]
        sections.append("COMMANDS\n" + _table(rows))
    sections.append("SETTINGS, as in conf/config.yaml\n" + _table(_settings(conf)))
    rows = [
        (f"{group}={name}", _about(conf / group / f"{name}.yaml"))
        for group, names in group_options(conf).items()
        for name in names
    ]
    sections.append("GROUPS and their options\n" + _table(rows))
    return "\n".join([*sections, _TAIL])


def command_names(commands: Path = HOME / "trainer" / "commands") -> list[str]:
    """Return the names of the commands, in alphabetical order."""
    return sorted(file.stem for file in commands.glob("[a-z]*.py"))


def group_options(conf: Path = HOME / "conf") -> dict[str, list[str]]:
    """Return group to options, both in alphabetical order, `experiment` first."""
    groups = sorted(
        (folder for folder in conf.iterdir() if any(folder.glob("*.yaml"))),
        key=lambda folder: (folder.name != "experiment", folder.name),
    )
    return {group.name: sorted(file.stem for file in group.glob("*.yaml")) for group in groups}


def _purpose(command: Path) -> str:
    docstring = ast.get_docstring(ast.parse(command.read_text(encoding="utf-8"))) or ""
    return docstring.partition("\n")[0]


def _about(option: Path) -> str:
    """Return the first sentence of an option's comment, or else what it builds."""
    text = option.read_text(encoding="utf-8")
    comments = re.match(r"(?:# @package.*\n|#\s*\n)*((?:#.*\S.*\n)*)", text)
    about = " ".join(line.lstrip("# ") for line in comments[1].splitlines()) if comments else ""
    built = re.search(r"_target_: *(\S+)", text)
    return re.split(r"(?<=\.) (?=[A-Z])", about)[0] if about else built[1] if built else ""


def _settings(conf: Path) -> list[tuple[str, str]]:
    text = (conf / "config.yaml").read_text(encoding="utf-8")
    return [
        (f"{key}={value}", comment)
        for key, value, comment in re.findall(r"^(\w+): +(\S+) *(?:# (.*))?$", text, re.MULTILINE)
    ]


def _table(rows: list[tuple[str, str]]) -> str:
    """Set names in one column and wrap what is said of them in another."""
    column = 4 + max(len(name) for name, _ in rows)
    lines = []
    for name, about in rows:
        start = f"  {name}".ljust(column)
        lines.append(
            textwrap.fill(about, WIDTH, initial_indent=start, subsequent_indent=" " * column)
            or start.rstrip()
        )
    return "\n".join(lines) + "\n"
