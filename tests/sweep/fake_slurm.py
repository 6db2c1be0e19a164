#!/usr/bin/env python3
"""`sbatch`, `squeue` and `scancel` for one machine, by the name it is called by.

Its jobs are in the folder FAKE_SLURM: NUMBER.pid, NUMBER.rc once a script has ended, and
NUMBER.state, which is what `squeue` says whatever the processes do. While there is a file `full`
no job begins, while there is `down` the controller does not answer, and `limit` refuses jobs.
"""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

FOLDER = Path(os.environ["FAKE_SLURM"])
AROUND = 'sh "$1.sh" & echo $! > "$1.pid"; wait $!; echo $? > "$1.rc"'


def sbatch(options, words):
    assert words == []
    if (FOLDER / "limit").exists():
        sys.exit("sbatch: error: QOSMaxSubmitJobPerUserLimit\nsbatch: error: Job violates policy")
    number = len(list(FOLDER.glob("*.sh"))) + 1
    script = FOLDER / f"{number}.sh"
    script.write_text(sys.stdin.read())
    if (FOLDER / "full").exists():
        (FOLDER / f"{number}.state").write_text("PENDING|Resources")
    else:
        with Path(options["output"]).open("ab") as log:
            subprocess.Popen(
                ["sh", "-c", AROUND, "sh", FOLDER / str(number)],
                cwd=options["chdir"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        pid = FOLDER / f"{number}.pid"
        while not (pid.exists() and pid.read_text()):
            time.sleep(0.01)
    print(f"{number};cluster")


def squeue(options, words):
    if (FOLDER / "down").exists():
        sys.exit("slurm_load_jobs error: Unable to contact slurm controller (connect failure)")
    for script in FOLDER.glob("*.sh"):
        state, code = script.with_suffix(".state"), script.with_suffix(".rc")
        if state.exists():
            says = state.read_text()
        elif code.exists():
            says = "COMPLETED|None" if code.read_text() == "0\n" else "FAILED|NonZeroExitCode"
        else:
            says = "RUNNING|None"
        print(f"{script.stem}|{says}")


def scancel(options, words):
    (number,) = words
    state, pid = FOLDER / f"{number}.state", FOLDER / f"{number}.pid"
    with (FOLDER / "scancels").open("a") as file:
        file.write(f"{options}\n")
    if options.get("state") == "PENDING":
        if state.exists() and state.read_text().startswith("PENDING"):
            state.write_text("CANCELLED|None")
    elif pid.exists():
        process = int(pid.read_text())
        with contextlib.suppress(ProcessLookupError):
            if "batch" in options:
                os.kill(process, signal.Signals[f"SIG{options['signal']}"])
            else:  # the script's and all that it has started
                os.killpg(os.getpgid(process), signal.SIGTERM)


if __name__ == "__main__":
    flags = [word.removeprefix("--").partition("=") for word in sys.argv[1:] if word[:2] == "--"]
    command = {"sbatch": sbatch, "squeue": squeue, "scancel": scancel}[Path(sys.argv[0]).name]
    command({name: value for name, _, value in flags}, [w for w in sys.argv[1:] if w[:2] != "--"])
