"""Values of the command line as Hydra's grammar wants them, whatever is in them."""

import re
from pathlib import Path


def quoted(path: Path) -> str:
    """Return a path as a value of the command line, whatever is in its name."""
    # To both libraries a backslash is one unless it stands before what it may escape: to OmegaConf
    # an interpolation, to Hydra a quote.
    plain = re.sub(r"(\\*)(\$\{)", r"\1\1\\\2", str(path))
    return "'" + re.sub(r"(\\+)('|$)", r"\1\1\2", plain).replace("'", "\\'") + "'"
