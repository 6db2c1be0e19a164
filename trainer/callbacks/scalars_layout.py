"""TensorBoard's custom-scalars page: training and validation in one chart for each metric."""

import re
from typing import Any

from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.plugins.custom_scalar import layout_pb2, metadata
from tensorboard.util import tensor_util

from trainer.callbacks.trainer_callback import TrainerCallback


class ScalarsLayout(TrainerCallback):
    """Writes the page's layout once, at the run's first step."""

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Write the layout, unless the run is taken up again."""
        if self.trainer.step > 0 or self.trainer.writer is None:
            return
        metrics = _charts("train and val", self.trainer.test_metrics.names)
        steps = _charts("steps", ["learning_rate", "gradient_norm"])
        layout = layout_pb2.Layout(category=[metrics, steps])
        summary = Summary()
        summary.value.add(
            tag=metadata.CONFIG_SUMMARY_TAG,
            metadata=metadata.create_summary_metadata(),
            tensor=tensor_util.make_tensor_proto(layout.SerializeToString()),
        )
        self.trainer.writer.summary(summary, step=0)


def _charts(title: str, tags: list[str]) -> layout_pb2.Category:
    # A chart is of tags, in whichever runs have them: those of train/ and val/ are the same.
    category = layout_pb2.Category(title=title)
    for tag in tags:
        pattern = f"^{re.escape(tag)}$"
        lines = layout_pb2.MultilineChartContent(tag=[pattern])
        category.chart.append(layout_pb2.Chart(title=tag, multiline=lines))
    return category
