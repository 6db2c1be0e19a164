"""Which classes are taken for which: a picture in TensorBoard for each evaluation."""

from trainer.callbacks.at_evaluations import AtEvaluations
from trainer.metrics import ConfusionMatrix


class ConfusionMatrixPicture(AtEvaluations):
    """Draws the confusion matrix of the validation split, counted inside the evaluation's steps.

    A picture takes a tenth of a second beside the steps. Where examples have no single class,
    nothing is drawn.

    Args:
        at_most_every: the least distance between two pictures; see `AtEvaluations`.
        max_classes: with more nothing is counted: it would take as much time as a small model.
    """

    def __init__(self, at_most_every: str = "10%", max_classes: int = 1000) -> None:
        super().__init__(at_most_every)
        self._max_classes = max_classes

    def on_model_built(self) -> None:
        """Have evaluations count."""
        self._tags = []
        num_classes = len(self.trainer.data.class_names)
        for output in self.class_outputs() if 2 <= num_classes <= self._max_classes else ():
            self._tags.append("confusion matrix" + (f" of {output}" if output else ""))
            counts = ConfusionMatrix(num_classes)
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
