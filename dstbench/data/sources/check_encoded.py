"""Decodes every test image of a streamed dataset once, before a run is trained that needs them.

Training images are met in the first epoch; the test images only at the end, perhaps after days.
"""

import hashlib
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from rich.console import Console
from rich.progress import track

from dstbench.data.sources.decode import decode_rgb
from dstbench.data.sources.encoded import EncodedImages
from dstbench.errors import UserError
from dstbench.utils.cores import cores

_SHOWN = 3  # broken images that a message names
_MANY = 2000  # images whose check shows progress


def check_test_images(test: EncodedImages, dataset_sha256: str, cache: Path) -> None:
    """Raise UserError, with their names, if test images cannot be decoded.

    dataset_sha256: of the dataset. A file in the cache notes that its images were checked, so each
        dataset is checked once.
    cache: folder of the cache.
    """
    key = hashlib.sha256(f"{dataset_sha256} {len(test)}".encode()).hexdigest()[:16]
    noted = cache / f"{key}.test-images-decoded"
    if noted.exists():
        return
    console = Console(stderr=True)
    with ThreadPoolExecutor(cores()) as pool:
        problems = pool.map(lambda i: _problem(test, i), range(len(test)))
        broken = [found for found in _tracked(problems, len(test), console) if found]
    if broken:
        more = f"\n… and {len(broken) - _SHOWN} more" if len(broken) > _SHOWN else ""
        raise UserError("test images are broken:\n" + "\n".join(broken[:_SHOWN]) + more)
    try:
        cache.mkdir(parents=True, exist_ok=True)
        noted.touch()
    except OSError:  # then the next run checks again
        pass


def _tracked(problems: Iterable[str | None], total: int, console: Console) -> Iterable[str | None]:
    quiet = total < _MANY or not console.is_terminal
    text = "checking test images, once"
    return track(problems, text, total=total, console=console, transient=True, disable=quiet)


def _problem(test: EncodedImages, i: int) -> str | None:
    try:
        decode_rgb(test.locations.at(i))
    except UserError as error:
        return error.message
    return None
