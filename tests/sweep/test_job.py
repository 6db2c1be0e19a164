from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from trainer.quoting import quoted


@pytest.mark.parametrize(
    "name",
    [
        *("a b", "it's", 'x"y', "a,b={c}[d]", "\N{LATIN SMALL LETTER U WITH DIAERESIS}", "$x"),
        *("a\\b", "a\\\\b", "a\\'b", "end\\", "'\\", "${name}", "a\\${name}'", "a\\b${c}${d}"),
    ],
)
def test_a_path_is_read_back_from_the_command_line_as_it_is(name):
    override = OverridesParser.create().parse_override(f"folder={quoted(Path(name))}")
    assert OmegaConf.create({"name": "no", "folder": override.value()}).folder == name
