from pathlib import Path

import pytest

from trainer.command_parser import CommandParser, run_folder
from trainer.config import ConfigError


@pytest.fixture
def parser():
    parser = CommandParser("describe", "Says what a model is.")
    parser.add_argument("run_dir", metavar="RUN_DIR", type=run_folder)
    parser.add_argument("--top", type=int, default=3)
    return parser


def test_words_are_read(parser, tmp_path):
    found = parser.parse_args([str(tmp_path), "--top", "5"])
    assert (found.run_dir, found.top) == (Path(tmp_path), 5)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--tpo", "5"], r"describe: no option --tpo; did you mean --top\?"),
        (["--to", "5"], r"describe: no option --to; did you mean --top\?"),
        (["--zebra"], "describe: no option --zebra; known: --help, --top"),
        (
            ["--top", "x"],
            "describe: argument --top: invalid int value: 'x'; usage: python -m train",
        ),
        (["more"], "describe: unrecognized arguments: more; usage: python -m trainer describe"),
    ],
)
def test_errors_are_one_line_and_name_the_nearest_option(words, message, parser, tmp_path):
    with pytest.raises(ConfigError, match=message) as caught:
        parser.parse_args([str(tmp_path), *words])
    assert "\n" not in str(caught.value)


def test_a_missing_folder_is_named(parser):
    with pytest.raises(ConfigError, match="argument RUN_DIR: nowhere: no such folder; give the"):
        parser.parse_args(["nowhere"])
    with pytest.raises(ConfigError, match="the following arguments are required: RUN_DIR"):
        parser.parse_args([])


def test_help_ends_well_and_says_what_the_command_does(parser, capsys):
    with pytest.raises(SystemExit) as stop:
        parser.parse_args(["--help"])
    assert stop.value.code in (0, None)
    assert "Says what a model is." in capsys.readouterr().out


def test_the_name_of_a_folder_that_is_too_long_is_told_in_one_line(parser):
    with pytest.raises(ConfigError, match=r"xxx: cannot be read \(File name too long\)") as caught:
        parser.parse_args(["x" * 300])
    assert "\n" not in str(caught.value)
