"""Orbit, the loop library of the TensorFlow Model Garden."""

import orbit
import tensorflow as tf

from benchmarks.problems import Problem, build_loss, build_optimizer

STEPS_PER_LOOP = 256


class OrbitTrainer:
    """Runs steps in a graph loop over a `tf.data` iterator, and keeps the mean loss of a loop.

    The loop is called as `orbit.Controller` calls it, without what that prints. As in
    orbit/examples/single_task/single_task_trainer.py.

    Args:
        problem: what is trained on what.
    """

    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        self._trainer = _Trainer(problem)

    def run(self, num_epochs: int) -> int:
        """Train for some epochs; return the number of examples."""
        num_steps = num_epochs * self._problem.num_examples // self._problem.batch_size
        while num_steps > 0:
            steps = min(num_steps, STEPS_PER_LOOP)
            self._trainer.train(tf.constant(steps))
            num_steps -= steps
        return num_epochs * self._problem.num_examples


class _Trainer(orbit.StandardTrainer):
    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.dataset().repeat())
        self._model = problem.build_model()
        self._optimizer = build_optimizer()
        self._optimizer.build(self._model.trainable_variables)
        self._loss_fn = build_loss()
        self._total = tf.Variable(0.0)
        self._count = tf.Variable(0)

    def train_loop_begin(self) -> None:
        self._total.assign(0.0)
        self._count.assign(0)

    def train_step(self, iterator: tf.data.Iterator) -> None:
        inputs, labels = next(iterator)
        with tf.GradientTape() as tape:
            loss = self._loss_fn(labels, self._model(inputs, training=True))
        variables = self._model.trainable_variables
        self._optimizer.apply(tape.gradient(loss, variables), variables)
        self._total.assign_add(loss)
        self._count.assign_add(1)

    def train_loop_end(self) -> dict[str, float]:
        return {"loss": float(self._total) / max(1, int(self._count))}
