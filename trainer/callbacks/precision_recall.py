"""Precision and recall at every threshold, on TensorBoard's page for them."""

import numpy as np
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.plugins.pr_curve.metadata import create_summary_metadata
from tensorboard.util import tensor_util

from trainer.callbacks.at_evaluations import AtEvaluations
from trainer.metrics import PrecisionRecallCurves


class PrecisionRecall(AtEvaluations):
    """Writes a curve for each class against the others, counted inside the evaluation's steps.

    TensorBoard has no writer of them for TensorFlow 2; this speaks its plugin's protocol. Of one
    yes-or-no output there is one curve; where labels are no classes there is none.

    Args:
        at_most_every: the least distance between two points in time; see `AtEvaluations`.
        max_classes: with more there is the curve of all answers together alone: the page shows all
            at once.
    """

    def __init__(self, at_most_every: str = "10%", max_classes: int = 20) -> None:
        super().__init__(at_most_every)
        self._max_classes = max_classes

    def on_model_built(self) -> None:
        """Have evaluations count, for models of one output for each class, and of one alone."""
        self._groups = {}
        num_classes = len(self.trainer.data.class_names)
        is_together = num_classes > self._max_classes
        for output in self.class_outputs():
            for num_outputs in {1, num_classes} if num_classes == 2 else {num_classes}:
                group = "precision and recall" + (f" of {output}" if output else "")
                name = f"{group}, {num_outputs}"
                self._groups[name] = group
                curves = PrecisionRecallCurves(num_outputs, is_together=is_together)
                self.trainer.test_metrics.observe(name, curves, output)

    def show(self) -> None:
        """Write what the last evaluation counted."""
        for name, group in self._groups.items():
            observer = self.trainer.test_metrics.observers.get(name)
            if isinstance(observer, PrecisionRecallCurves):
                self._write(group, observer)

    def _write(self, group: str, observer: PrecisionRecallCurves) -> None:
        names, curves = self.trainer.data.class_names, observer.curves()  # [6, K, T]
        shown = names[-1:] if observer.num_outputs == 1 else names
        shown = ("all classes",) if observer.is_together else shown
        of_class = {name: curves[:, k] for k, name in enumerate(shown)}
        for name, curve in of_class.items():
            if self.trainer.writer is not None:
                self.trainer.writer.summary(_summary(group, name, curve), self.trainer.step, "val")


def _summary(group: str, name: str, curve: np.ndarray) -> Summary:
    summary = Summary()
    summary.value.add(
        tag=f"{group}/{name}",
        metadata=create_summary_metadata(name, "", num_thresholds=curve.shape[-1]),
        tensor=tensor_util.make_tensor_proto(curve),
    )
    return summary
