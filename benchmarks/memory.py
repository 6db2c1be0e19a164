"""Whether our loop's memory grows with the number of chunks, and how often it compiles."""

import os
import tempfile
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

STEPS_PER_EPOCH = 64
"""A chunk ends with an epoch, so that this is a chunk's length too."""


def memory(connection: Connection, jit: bool | str, num_chunks: tuple[int, int]) -> None:
    """Train the tiny MLP and send memory after the two numbers of chunks; in a child process.

    The run records every step, evaluates at every tenth epoch and saves at the end.
    """
    import keras

    from benchmarks.contenders.tapeloop import TracedTrainer
    from benchmarks.problems import build_loss, build_optimizer, mlp
    from trainer import Data

    memory_bytes: dict[int, int] = {}

    class Watch(keras.callbacks.Callback):
        num_chunks = 0

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            self.num_chunks += 1
            if self.num_chunks in num_chunks:
                memory_bytes[self.num_chunks] = resident_bytes()
            if self.num_chunks == num_chunks[-1]:
                self.model.stop_training = True

    problem = mlp(quick=True)
    examples = (problem.inputs, problem.labels)
    with tempfile.TemporaryDirectory() as run_dir:
        trainer = TracedTrainer(
            model=problem.build_our_model(),
            loss=build_loss(),
            optimizer=build_optimizer(),
            data=Data(train=examples, val=examples, batch_size=problem.batch_size),
            callbacks=[Watch()],
            run_dir=run_dir,
            eval_every="10ep",
            checkpoint_every="1000min",
            jit=jit,
        )
        trainer.fit(f"{num_chunks[-1]}ep")
    connection.send({"memory_bytes": memory_bytes, "num_traces": trainer.num_traces})


def resident_bytes() -> int:
    """Return the memory that this process has now.

    Raises:
        NotImplementedError: on another system than Linux.
    """
    statm = Path("/proc/self/statm")
    if not statm.exists():
        raise NotImplementedError("current memory is read from /proc, which only Linux has")
    return int(statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
