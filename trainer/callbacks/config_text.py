"""The configuration as text in TensorBoard, beside the curves it made."""

from typing import Any

from trainer.callbacks.trainer_callback import TrainerCallback


class ConfigText(TrainerCallback):
    """Writes a text to TensorBoard's text page once, at the run's first step.

    Args:
        yaml: the resolved configuration.
    """

    def __init__(self, yaml: str) -> None:
        super().__init__()
        self._yaml = yaml

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Write the text, unless the run is taken up again."""
        if self.trainer.step == 0 and self.trainer.writer:
            self.trainer.writer.text("config", f"```yaml\n{self._yaml}\n```")
