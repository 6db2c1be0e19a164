"""Jobs on a Ray cluster: an actor for each takes its CPUs and GPUs and starts its process."""

import contextlib
import os
import socket
import subprocess
from pathlib import Path
from typing import Any

from trainer.config import ConfigError
from trainer.printable import printable
from trainer.signals import EXIT_CODE_INTERRUPTED
from trainer.sweep.job import Job

_FAILED = 1
_SECONDS_TO_ANSWER = 10.0


class RayHandle:
    """A job's process and the actor that looks after it.

    Args:
        ray: the package.
        actor: that has been asked to start the process.
        job: what it runs.
    """

    def __init__(self, ray: Any, actor: Any, job: Job) -> None:
        self._ray, self._actor, self._job = ray, actor, job
        self._has_begun = actor.has_begun.remote()
        self._end = actor.wait.remote()
        self._code: int | None = None
        self._is_taken_back = False

    def exit_code(self) -> int | None:
        """Return None while it waits or runs, then its exit code; below 0: killed by a signal."""
        if self._code is None and self._is_there(self._end):
            try:
                self._code = self._ray.get(self._end)
            except self._ray.exceptions.ActorUnavailableError:
                self._end = self._actor.wait.remote()  # Ray finds out whether it comes back
                return None
            except self._ray.exceptions.RayError as error:
                self._code = self._without_process(error)
            # Its CPUs and GPUs are the next job's.
            self._ray.kill(self._actor)
        return self._code

    def stop(self) -> None:
        """Ask it to save its state and end; one that waits for its turn is taken back."""
        if not self._is_there(self._has_begun):
            self._is_taken_back = True
            self._ray.kill(self._actor)
            return
        # Its node may be gone just now, which `exit_code` will find out.
        with contextlib.suppress(self._ray.exceptions.RayError):
            self._ray.get(self._actor.stop.remote(), timeout=_SECONDS_TO_ANSWER)

    def where(self) -> str:
        """Return the actor's number, by which Ray's dashboard and `ray list actors` know it."""
        return f"Ray actor {self._actor._actor_id.hex()[:12]}"

    def _is_there(self, answer: Any) -> bool:
        return bool(self._ray.wait([answer], timeout=0)[0])

    def _without_process(self, error: Exception) -> int:
        """Return the exit code where the actor is gone: with its node, or before it began."""
        if self._is_taken_back:
            return EXIT_CODE_INTERRUPTED
        with contextlib.suppress(OSError), self._job.log.open("a") as log:
            log.write(f"Ray: {_in_one_line(error)}\n")
        return _FAILED


class RayExecutor:
    """Starts each job by an actor of its own, so that no worker process serves two.

    Args:
        num_workers: how many jobs Ray is given at once.
        address: of the cluster; None starts one on this machine, for the time of the sweep.
        num_cpus: that each job reserves.
        num_gpus: that each job reserves and alone sees.

    Raises:
        ConfigError: if the cluster does not answer.
    """

    def __init__(
        self, num_workers: int, address: str | None, num_cpus: float, num_gpus: float
    ) -> None:
        self.num_workers = num_workers
        # What trains on this machine is nobody else's business; whoever wants that can say so.
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        import ray  # an extra, and slow to import

        self._ray: Any = ray
        _check_that_it_answers(address or "local")
        try:
            ray.init(
                address=address or "local",
                include_dashboard=None if address else False,
                logging_level="error",
                log_to_driver=False,
            )
        except (ConnectionError, ValueError, RuntimeError, ray.exceptions.RayError) as error:
            raise ConfigError(f"hydra.launcher.address={address}: {_in_one_line(error)}") from error
        # Two threads: one waits for the end of the process, one hears that it is to stop.
        self._actor = ray.remote(_job_process()).options(
            num_cpus=num_cpus, num_gpus=num_gpus, max_concurrency=2, max_restarts=0
        )

    def start(self, job: Job) -> RayHandle:
        """Give a job to Ray, with the folder of this process and the job's environment."""
        job.log.parent.mkdir(parents=True, exist_ok=True)
        log = str(job.log.absolute())
        actor = self._actor.remote(job.command, log, str(Path.cwd()), job.environment)
        return RayHandle(self._ray, actor, job)

    def close(self) -> None:
        """Leave the cluster, or end that which was started for the sweep."""
        self._ray.shutdown()


def _check_that_it_answers(address: str) -> None:
    """Check that somebody listens at an address: Ray itself would wait without end."""
    host, _, port = address.rpartition("://")[2].rpartition(":")
    if not port.isdecimal():
        return  # `auto` and `local`, which Ray looks up
    try:
        socket.create_connection((host, int(port)), _SECONDS_TO_ANSWER).close()
    except (OSError, OverflowError) as error:
        raise ConfigError(
            f"hydra.launcher.address={address}: no Ray cluster answers ({error}); start one with "
            "ray start --head, or leave the address out"
        ) from error


def _in_one_line(error: Exception) -> str:
    # Its indented lines are names and numbers of Ray's own, and traces.
    lines = [line for line in str(error).splitlines() if line[:1].strip()]
    return printable(" ".join(lines) or type(error).__name__)


def _job_process() -> type:
    """Return the class of the actors.

    Made in a function, it is sent to the nodes as it is, and their workers need not import this
    package.
    """

    class JobProcess:
        """A process, on the node that has room for it."""

        def __init__(
            self, command: list[str], log: str, folder: str, environment: dict[str, str]
        ) -> None:
            # Ray has chosen the GPUs, of which the process that asks knows nothing.
            gpus = os.environ.get("CUDA_VISIBLE_DEVICES", "")
            with Path(log).open("ab") as file:
                self._process = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=file,
                    stderr=subprocess.STDOUT,
                    cwd=folder,
                    env={**environment, "CUDA_VISIBLE_DEVICES": gpus},
                    start_new_session=True,
                )

        def has_begun(self) -> bool:
            return True

        def wait(self) -> int:
            return self._process.wait()

        def stop(self) -> None:
            self._process.terminate()

    return JobProcess
