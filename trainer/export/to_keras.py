"""`.keras`: the model itself, to be trained on or looked into where the project's code is."""

from pathlib import Path

from trainer.export.serving import Serving


def write(serving: Serving, path: Path, card: str) -> None:
    """Write the model with its weights: standardised inputs in, logits or values out.

    `keras.saving.load_model(path)` finds its class by module and registered name.

    Args:
        serving: whose model is written.
        path: ends in `.keras`.
        card: stays beside.
    """
    serving.model.save(path)
