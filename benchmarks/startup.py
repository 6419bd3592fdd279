"""Measures the time until the command line answers, in whole processes.

Prints the median and its ratio to the goal: 0.2 s for help, 0.5 s for lists.

    python benchmarks/startup.py
"""

import statistics
import subprocess
import sys
import time


def main() -> None:
    for arguments, goal in (
        (["--help"], 0.2),
        (["run", "--help"], 0.2),
        (["list"], 0.5),
        (["list", "methods", "--json"], 0.5),
    ):
        command = [sys.executable, "-m", "dstbench", *arguments]
        times = []
        for _ in range(6):
            began = time.perf_counter()
            subprocess.run(command, check=True, capture_output=True)
            times.append(time.perf_counter() - began)
        median = statistics.median(times[1:])
        ratio = f"{median / goal:.2f} of the goal, {goal} s"
        print(f"dstbench {' '.join(arguments)}: {median:.3f} s, {ratio}")


if __name__ == "__main__":
    main()
