"""How soon the command line answers, as whole processes. Wanted: help 0.2 s, list 0.5 s.

python benchmarks/startup.py
"""

import statistics
import subprocess
import sys
import time


def main() -> None:
    for arguments in (["--help"], ["run", "--help"], ["list"], ["list", "methods", "--json"]):
        command = [sys.executable, "-m", "dstbench", *arguments]
        times = []
        for _ in range(6):
            began = time.perf_counter()
            subprocess.run(command, check=True, capture_output=True)
            times.append(time.perf_counter() - began)
        print(f"dstbench {' '.join(arguments)}: {statistics.median(times[1:]):.3f} s")


if __name__ == "__main__":
    main()
