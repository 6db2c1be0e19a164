"""Which classes are taken for which: a picture in TensorBoard for each evaluation."""

from trainer.callbacks.at_evaluations import AtEvaluations
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
        num_classes = len(self.trainer.data.class_names)
        if num_classes >= 2:
            self.trainer.test_metrics.observe("confusion matrix", ConfusionMatrix(num_classes))

    def show(self) -> None:
        """Draw what the last evaluation counted."""
        counted = self.trainer.test_metrics.observers.get("confusion matrix")
        if counted is None or self.trainer.writer is None:
            return
        # matplotlib takes most of a second to import.
        from trainer.report.confusion_matrix import draw

        figure = draw(counted.matrix.numpy(), self.trainer.data.class_names)
        self.trainer.writer.figure("confusion matrix", figure, self.trainer.step, "val")
