"""Which classes are taken for which: a picture in TensorBoard for each evaluation."""

from trainer.callbacks.at_evaluations import AtEvaluations
from trainer.data.data import class_outputs
from trainer.metrics import ConfusionMatrix


class ConfusionMatrixPicture(AtEvaluations):
    """Draws the confusion matrix of the validation split, counted inside the evaluation's steps.

    It costs an evaluation nothing that can be measured, and a picture a tenth of a second beside
    the steps. Where examples have no single class, nothing is drawn.

    Args:
        at_most_every: the least distance between two pictures; see `AtEvaluations`.
    """

    def on_model_built(self) -> None:
        """Have evaluations count."""
        self._tags = []
        data = self.trainer.data
        for output in class_outputs(data) if len(data.class_names) >= 2 else ():
            self._tags.append("confusion matrix" + (f" of {output}" if output else ""))
            counts = ConfusionMatrix(len(data.class_names))
            self.trainer.test_metrics.observe(self._tags[-1], counts, output)

    def show(self) -> None:
        """Draw what the last evaluation counted."""
        # matplotlib takes most of a second to import.
        from trainer.report.confusion_matrix import draw

        for tag in self._tags:
            counted = self.trainer.test_metrics.observers.get(tag)
            if counted is not None and self.trainer.writer is not None:
                figure = draw(counted.matrix.numpy(), self.trainer.data.class_names)
                self.trainer.writer.figure(tag, figure, self.trainer.step, "val")
