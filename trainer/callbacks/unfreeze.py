"""A layer that is left alone at first and trained from a given step on."""

import keras

from trainer.callbacks.trainer_callback import TrainerCallback
from trainer.durations import Duration
from trainer.suggestions import nearest


class Unfreeze(TrainerCallback):
    """Leaves a layer alone until a step, and trains it from there on, as in fine-tuning.

    Before it, nothing changes the layer's variables: no gradient, no weight decay, and its batch
    normalization runs as in inference, with its moving statistics as they are. Its gradients are
    not computed, so steps are faster. From it on the layer is trained as if it always had been.

    The optimizer counts the run's steps: a schedule goes on, and Adam's correction of its moments'
    bias is over by then, so that its first steps on the layer are up to 3.2 times the learning
    rate. A group of its own (`optimizer.groups`) gives the layer a count, and so a warm-up, and a
    rate of its own. A window of `update.accumulate_steps` counts the micro-steps before as 0.

    Args:
        layer: name of a layer, or of several inside others; None: the first layer of the model
            with variables, which in `model=transfer` is the base.
        at: where training it begins, counted from the start of the run, in `st`, `ep` or `ex`.

    Raises:
        ValueError: if `at` is no such duration, or the model has no such layer.
    """

    def __init__(self, layer: str | None = None, at: str = "1ep") -> None:
        super().__init__()
        self._layer_name = layer
        self._at = Duration.parse(at)
        if self._at.unit in ("%", "min"):
            raise ValueError(
                f"at={at}: write steps (5000st), epochs (1ep) or examples (2e6ex); what a step "
                "trains must depend neither on how long the run will be nor on how fast it is"
            )

    def on_model_built(self) -> None:
        """Find the layer, and have the optimizer keep state for it."""
        self._layers = self._find(self.trainer.model)
        self._first_step = self.trainer.run_length("1ep").steps(self._at)
        for layer in self._layers:
            layer.trainable = True

    def on_chunk_begin(self, step: int) -> None:
        """Freeze the layer before its step, and train it from there on."""
        is_trained = step >= self._first_step
        if any(layer.trainable != is_trained for layer in self._layers):
            for layer in self._layers:
                layer.trainable = is_trained
            self.trainer.retrace()

    def next_change(self, step: int) -> int | None:
        """Return the step from which on the layer is trained, while it lies ahead."""
        return self._first_step if step < self._first_step else None

    def _find(self, model: keras.Model) -> list[keras.layers.Layer]:
        if self._layer_name is None:
            return [next(layer for layer in model.layers if layer.variables)]
        layers = list(model._flatten_layers(include_self=False))
        found = [layer for layer in layers if layer.name == self._layer_name]
        if not found:
            near = nearest(self._layer_name, [layer.name for layer in layers])
            raise ValueError(f"Unfreeze(layer={self._layer_name!r}): no such layer; {near}")
        return found
