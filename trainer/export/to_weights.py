"""`.weights.h5`: the weights alone, for a model that somebody builds."""

from pathlib import Path

from trainer.export.serving import Serving


def write(serving: Serving, path: Path, card: str) -> None:
    """Write all weights; `load_weights(path)` of a built model of the same class reads them.

    Args:
        serving: whose model's weights are written.
        path: ends in `.weights.h5`.
        card: stays beside.
    """
    serving.model.save_weights(path)
