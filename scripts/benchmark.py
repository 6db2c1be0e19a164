"""Measure our loop beside what one would use instead, and print ratios.

python scripts/benchmark.py                              all workloads; about an hour on two cores
python scripts/benchmark.py mlp --rounds 7               one of them
python scripts/benchmark.py folder --root ~/data/cifar   your own JPEG files, in class folders
"""

import argparse
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.measure import Settings
from benchmarks.rounds import compare, grow
from benchmarks.seeds import seeds
from benchmarks.workloads import WORKLOADS

NAMES = [*WORKLOADS, "memory", "seeds"]


def main() -> None:
    """Read the arguments, measure, and write what was found."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("workloads", nargs="*", metavar="WORKLOAD", help=f"of {', '.join(NAMES)}")
    parser.add_argument("--only", nargs="+", metavar="KEY", help="contenders, such as fit ours")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each (default: 5)")
    parser.add_argument("--seconds", type=float, default=5.0, help="least length of a turn")
    parser.add_argument("--quick", action="store_true", help="tiny data: only see that it runs")
    parser.add_argument("--root", type=Path, help="class folders; default: 50,000 made JPEG files")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every round's figures")
    arguments = parser.parse_args()
    unknown = set(arguments.workloads) - set(NAMES)
    if unknown:
        parser.error(f"unknown workload {min(unknown)!r}; choose of {', '.join(NAMES)}")
    if arguments.rounds < 1 or arguments.seconds <= 0:
        parser.error("--rounds must be at least 1, --seconds above 0")
    settings = Settings(
        rounds=1 if arguments.quick else arguments.rounds,
        seconds=0.01 if arguments.quick else arguments.seconds,
        quick=arguments.quick,
        root=arguments.root,
    )
    own = {"memory": lambda: grow(settings, say), "seeds": lambda: seeds(settings.quick, say)}
    results = [
        own[name]() if name in own else compare(name, arguments.only, settings, say)
        for name in arguments.workloads or NAMES
    ]
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=1))


def say(line: str) -> None:
    """Print at once, also into a pipe."""
    print(line, flush=True)


if __name__ == "__main__":
    main()
