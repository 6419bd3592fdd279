"""`dstbench deploy`: a finished run's network as small, fast files that need no torch."""

import argparse
import importlib.util

from dstbench.errors import UserError
from dstbench.tracking import find_run
from dstbench.training import trained_network


def main(args: argparse.Namespace) -> int:
    for library in ("numba", "safetensors"):
        if importlib.util.find_spec(library) is None:
            raise UserError(f"Deploying needs {library}: pip install 'dstbench[deploy]'.")
    from dstbench.deploy.export import deploy, deploy_dense

    folder = find_run.find(args.run, args.runs, args.tracking)
    network = trained_network.load(folder, plugins=args.plugins, best=args.best)
    out = args.out or folder / "deployed"
    made = (deploy_dense if args.dense else deploy)(network, out, args.best)
    for name, size in made.files.items():
        print(f"{out / name}  {size:,} bytes")
    for note in made.notes:
        print(note)
    if made.operations is not None:
        print(
            f"compiled in {made.seconds:.1f} s to {made.operations:,} operations · largest "
            f"relative error {made.error:.1e}"
        )
    return 0
