"""The custom loop of TensorFlow's tutorials."""

import tempfile

import tensorflow as tf

from benchmarks.problems import Problem, build_loss, build_optimizer


class TutorialLoop:
    """Calls a `tf.function` step per batch, from Python; writes loss and rate with `tf.summary`.

    As in tensorflow.org/guide/keras/writing_a_training_loop_from_scratch and
    tensorflow.org/tensorboard/get_started.

    Args:
        problem: what is trained on what.
    """

    def __init__(self, problem: Problem) -> None:
        self._model = model = problem.build_model()
        self._optimizer = optimizer = build_optimizer()
        self._dataset = problem.dataset()
        self._num_examples = problem.num_examples
        self._loss_fn = loss_fn = build_loss()
        self._log_dir = tempfile.TemporaryDirectory()
        self._writer = tf.summary.create_file_writer(self._log_dir.name)
        self._step = 0

        @tf.function
        def train_step(inputs: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
            with tf.GradientTape() as tape:
                logits = model(inputs, training=True)
                loss = loss_fn(labels, logits)
            gradients = tape.gradient(loss, model.trainable_variables)
            optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
            return loss

        self._train_step = train_step

    def run(self, num_epochs: int) -> int:
        """Train for some epochs; return the number of examples."""
        with self._writer.as_default():
            for _ in range(num_epochs):
                for inputs, labels in self._dataset:
                    loss = self._train_step(inputs, labels)
                    self._step += 1
                    tf.summary.scalar("loss", loss, self._step)
                    tf.summary.scalar("learning_rate", self._optimizer.learning_rate, self._step)
        self._writer.flush()
        return num_epochs * self._num_examples
