"""Peak memory of a compiled network and of the dense one, in the worst case.

Measured is the peak of resident memory that each needs beyond its imported libraries and the
images, in its own process, the dense one run eagerly; and the same without what the libraries take
when they first run anything. Linux only.

    python benchmarks/deploy_memory.py [--models ResNet34 ResNet50] [--sparsities 0.9995]
        [--batches 1 2 64] [--threads 2]
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from timing import machine
from torch import nn

from dstbench.deployment.compiler.compile import compile_network
from dstbench.deployment.runtime.network import load
from dstbench.deployment.runtime.program_file import write_bytes
from dstbench.measure.worst_case import worst_case
from dstbench.models import resnet

PEAK = """
import sys
from pathlib import Path
import numpy as np
{imports}
images = np.ones((int(sys.argv[2]), 3, 32, 32), np.float32)
if sys.argv[4] == "started":
    {start}
Path("/proc/self/clear_refs").write_text("5")  # the peak is now what is resident now
def peak():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))
before = peak()
{load}
print(peak() - before)
"""
COMPILED = PEAK.format(
    imports="from dstbench.deployment import load; from dstbench.deployment.runtime import network",
    start="load(str(Path(sys.argv[1]).with_name('small.dst')), 1)(images)",
    load="load(sys.argv[1], int(sys.argv[3]))(images)",
)
DENSE = PEAK.format(
    imports="import torch; from dstbench.models import resnet\n"
    "torch.set_num_threads(int(sys.argv[3]))",
    start="torch.conv2d(torch.from_numpy(images), torch.ones(1, 3, 1, 1))",
    load="model = getattr(resnet, sys.argv[1])(num_classes=10, in_channels=3).eval()\n"
    "with torch.no_grad(): model(torch.from_numpy(images))",
)


def measure_memory(name: str, sparsity: float, args: argparse.Namespace) -> None:
    """Print both peaks in MB for every batch size."""
    model, _ = worst_case(getattr(resnet, name), sparsity)
    small = nn.Sequential(nn.Conv2d(3, 1, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.dst"
        path.write_bytes(write_bytes(compile_network(model, (3, 32, 32))))
        path.with_name("small.dst").write_bytes(write_bytes(compile_network(small, (3, 32, 32))))
        load(path)(np.zeros((1, 3, 32, 32), np.float32))  # numba caches what it compiles
        for batch in args.batches:
            for since in ("imported", "started"):
                compiled = peak(COMPILED, path, batch, args.threads, since)
                dense = peak(DENSE, name, batch, args.threads, since)
                print(
                    f"{name} {100 * sparsity:g} %, batch {batch}, libraries {since}: "
                    f"{compiled:.1f} MB, dense {dense:.1f} MB",
                    flush=True,
                )


def peak(code: str, *words: object) -> float:
    """Return the MB that a program prints as its peak."""
    command = [sys.executable, "-c", code, *map(str, words)]
    return 1024 * int(subprocess.run(command, check=True, capture_output=True).stdout) / 1e6


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--models", nargs="+", default=["ResNet34", "ResNet50"])
    options.add_argument("--sparsities", nargs="+", type=float, default=[0.9995])
    options.add_argument("--batches", nargs="+", type=int, default=[1, 2, 64])
    options.add_argument("--threads", type=int, default=2)
    args = options.parse_args()
    print(machine())
    for name in args.models:
        for sparsity in args.sparsities:
            measure_memory(name, sparsity, args)


if __name__ == "__main__":
    main()
