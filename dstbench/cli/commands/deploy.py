"""`dstbench deploy`: writes a finished run's network as small, fast files that need no torch."""

import argparse
import importlib.util

from dstbench.errors import UserError
from dstbench.tracking import find_run
from dstbench.training import trained_network


def main(args: argparse.Namespace) -> int:
    if importlib.util.find_spec("numba") is None:
        raise UserError("Deploying needs numba: pip install 'dstbench[deploy]'.")
    from dstbench.deployment.deploy_run import deploy, deploy_dense

    folder = find_run.find(args.run, args.runs, args.tracking)
    network = trained_network.load(folder, plugins=args.plugins, best=args.best)
    out = args.out or folder / "deployed"
    deployed = (deploy_dense if args.dense else deploy)(network, out, args.best)
    for name, size in deployed.files.items():
        print(f"{out / name}  {size:,} bytes")
    for note in deployed.notes:
        print(note)
    if compilation := deployed.compilation:
        print(
            f"compiled in {compilation.seconds:.1f} s to {compilation.operations:,} operations · "
            f"largest relative error {compilation.error:.1e}"
        )
    return 0
