"""`dstbench deploy`: writes a finished run's network as small, fast files that need no torch."""

import argparse

from dstbench.api.networks import deploy


def main(args: argparse.Namespace) -> int:
    deployed = deploy(
        args.run,
        args.out,
        best=args.best,
        dense=args.dense,
        c=args.c,
        web=args.web,
        runs=args.runs,
        tracking=args.tracking,
        plugins=args.plugins,
        data_root=args.data_root,
        cache=args.cache,
    )
    for name, size in deployed.files.items():
        print(f"{deployed.folder / name}  {size:,} bytes")
    for note in deployed.notes:
        print(note)
    if compilation := deployed.compilation:
        print(
            f"compiled in {compilation.seconds:.1f} s to {compilation.operations:,} operations · "
            f"largest relative error {compilation.error:.1e}"
        )
    for line in deployed.report:
        print(line)
    return 0
