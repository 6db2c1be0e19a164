"""A thread that does what it is handed, in order, while the steps go on."""

import queue
import threading
from collections.abc import Callable


class Background:
    """A thread with a bounded queue of jobs. What a job raises is raised by the next call here.

    Args:
        name: the thread's.
        queue_length: jobs that may wait; with more, the caller waits, so that memory stays bounded.
    """

    def __init__(self, name: str, queue_length: int) -> None:
        self._error: BaseException | None = None
        self._queue: queue.Queue[Callable[[], object] | None] = queue.Queue(queue_length)
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    def submit(self, job: Callable[[], object]) -> None:
        """Hand over a job; after one has failed the ones behind it are dropped."""
        self._raise()
        self._queue.put(job)

    def wait(self) -> None:
        """Wait until all jobs are done."""
        self._queue.join()
        self._raise()

    def close(self) -> None:
        """Do what waits, and end the thread."""
        self._queue.put(None)
        self._thread.join()
        self._raise()

    def _raise(self) -> None:
        if self._error:
            error, self._error = self._error, None
            raise error

    def _work(self) -> None:
        while (job := self._queue.get()) is not None:
            try:
                if self._error is None:
                    job()
            except Exception as error:
                self._error = error
            self._queue.task_done()
