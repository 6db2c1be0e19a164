"""How weights and gradients are distributed, on TensorBoard's histogram and distribution pages."""

from typing import Any

import numpy as np
from tensorboard.plugins.histogram.summary_v2 import histogram_pb

from trainer.callbacks.at_evaluations import AtEvaluations
from trainer.replay.gradients import Gradients
from trainer.state import restore, snapshot


class Histograms(AtEvaluations):
    """Writes histograms of all trainable weights, and of the gradients that the next step takes.

    The gradients are those of the training rule, after unscaling and before clipping: the next
    step is run once more, operation by operation, and taken back, which takes as long as some
    steps. So this is no default. A `tf.data.Dataset` must give the same examples again, as for a
    run that is taken up.

    Args:
        at_most_every: the least distance between two; see `AtEvaluations`.
        gradients: whether gradients are looked at, beside the weights.
    """

    def __init__(self, at_most_every: str = "10%", gradients: bool = True) -> None:
        super().__init__(at_most_every)
        self._with_gradients = gradients

    def show(self) -> None:
        """Write the histograms of now."""
        trainer, writer = self.trainer, self.trainer.writer
        gradients = self._gradients() if self._with_gradients else None
        for weight in trainer.model.trainable_variables:
            name = weight.path.removeprefix(f"{trainer.model.name}/")
            arrays = {"weights": weight.numpy()}
            if gradients is not None and (gradient := gradients.of(weight)) is not None:
                arrays["gradients"] = gradient
            for kind, array in arrays.items():
                # What is not finite has no place in a histogram.
                values = array[np.isfinite(array)].astype(np.float64)
                if writer is not None and values.size:
                    writer.summary(histogram_pb(f"{kind}/{name}", values), trainer.step)

    def _gradients(self) -> Any:
        trainer = self.trainer
        before = snapshot(trainer.variables)
        gradients = Gradients(trainer)
        _, batch = trainer.chunk.look_up(trainer.step)
        with gradients.watching():
            trainer.chunk.run_eagerly(batch, trainer.step)
        restore(trainer.variables, before, "the state before the step")
        return gradients
