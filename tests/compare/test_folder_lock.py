import subprocess
import sys

from trainer.sweep_folder import varied_in

WRITES = """
import sys, pathlib
from trainer.compare.folder_lock import folder_lock
from trainer.sweep_folder import describe_sweep
for number in range(30):
    with folder_lock(pathlib.Path(sys.argv[1])):
        describe_sweep(pathlib.Path(sys.argv[1]), [f"{sys.argv[2]}{number}"])
"""


def test_what_two_processes_write_is_whole_and_none_of_it_is_lost(tmp_path):
    folder = tmp_path / "sweep"
    both = [subprocess.Popen([sys.executable, "-c", WRITES, folder, name]) for name in "ab"]
    assert [process.wait(timeout=60) for process in both] == [0, 0]
    assert sorted(varied_in(folder)) == sorted(f"{name}{k}" for name in "ab" for k in range(30))
