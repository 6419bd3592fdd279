"""Says which networks of `Run.kept_epochs` a run no longer keeps, because it has passed them."""

from pathlib import Path

from dstbench.recording.file_names import epoch_network
from dstbench.training.settings import Run
from dstbench.utils.listed import listed


def missed_networks(run: Run, folder: Path, epoch: int) -> list[str]:
    """Return a message about epochs whose network was to be kept and was not, or none.

    folder: of the run.
    epoch: the last one that the run has finished; 0 after its first masks.
    """
    passed = [n for n in run.kept_epochs if n <= epoch]
    missing = [epoch_network(n) for n in passed if not (folder / epoch_network(n)).exists()]
    if not missing:
        return []
    return [
        f"Run.kept_epochs: {listed(missing, 3)} not kept, because the run had passed "
        f"{'that epoch' if len(missing) == 1 else 'those epochs'} already; --fresh starts it over."
    ]
