"""SavedModel: for TensorFlow Serving, and all that loads one."""

from pathlib import Path

import tensorflow as tf

from trainer.export.serving import SIGNATURE, Serving

CARD = Path("assets.extra") / "card.json"
"""TensorFlow leaves what is in `assets.extra` to the user."""


def write(serving: Serving, path: Path, card: str) -> None:
    """Write a folder with the signature `serving_default`, and the card in it.

    Args:
        serving: what is served.
        path: the folder.
        card: JSON.
    """
    tf.saved_model.save(serving, path, signatures={SIGNATURE: serving.serve})
    (path / CARD).parent.mkdir()
    (path / CARD).write_text(card)
