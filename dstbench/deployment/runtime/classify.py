"""`python -m dstbench_runtime network.dst IMAGE …` prints the class of each image.

Inside dstbench it is `python -m dstbench.deployment.runtime.classify`.
"""

import argparse
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ...errors import UserError
from .network import Network, load


def main(arguments: Sequence[str] | None = None) -> None:
    """Print path, class and probability of each image, one a line; exit with 2 for bad input.

    arguments: None for those of this process.
    """
    parser = argparse.ArgumentParser(
        prog="python -m dstbench_runtime", description="Prints the class of each image."
    )
    parser.add_argument("network", help="a file that `dstbench deploy` wrote, network.dst")
    parser.add_argument(
        "images", nargs="+", help="image files (needs pillow), or .npy: uint8 (height, width, C)"
    )
    given = parser.parse_args(arguments)
    try:
        with warnings.catch_warnings(record=True) as notes:
            warnings.simplefilter("always")
            network = load(given.network)
        for note in notes:
            print(note.message, file=sys.stderr)
        for path in given.images:
            name, probability = most_likely(network, read_image(Path(path), network.image_shape))
            print(f"{path}  {name}  {100 * probability:.1f} %")
    except UserError as error:
        print(f"dstbench_runtime: {error.message}", file=sys.stderr)
        sys.exit(2)


def most_likely(network: Network, image: np.ndarray) -> tuple[str, float]:
    """Return (class name, its probability) of one image, uint8 (H, W, C)."""
    logits = network(image[None])[0].astype(np.float64)
    powers = np.exp(logits - logits.max())
    which = int(logits.argmax())
    return network.classes[which], float(powers[which] / powers.sum())


def read_image(path: Path, image_shape: tuple[int, int, int]) -> np.ndarray:
    """Return an image file as uint8 (height, width, channels).

    image_shape: channels, height, width of the network.

    Raises UserError: when it cannot be read, or is of another size.
    """
    channels, height, width = image_shape
    if path.suffix == ".npy":
        try:
            image = np.load(path, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise UserError(f"{path}: cannot be read ({error}).") from None
    else:
        image = _decoded(path, channels, (width, height))
    if image.dtype != np.uint8 or image.shape != (height, width, channels):
        raise UserError(
            f"{path}: {image.dtype} of shape {list(image.shape)}; this network takes uint8 "
            f"[{height}, {width}, {channels}]."
        )
    return image


def _decoded(path: Path, channels: int, size: tuple[int, int]) -> np.ndarray:
    try:
        from PIL import Image
    except ImportError:
        raise UserError(f"{path}: reading images needs pillow: pip install pillow") from None
    if channels not in (1, 3):
        raise UserError(f"{path}: this network takes {channels} channels: give it a .npy file.")
    try:
        with Image.open(path) as image:
            if image.size != size:  # before anything is decoded
                raise UserError(
                    f"{path}: is {image.width}×{image.height}; this network takes "
                    f"{size[0]}×{size[1]}. Crop and resize it as the training images were."
                )
            # Pillow opens a PNG of 16 bits a channel, byte 24 of its file, as one of 8.
            deep = image.format == "PNG" and path.read_bytes()[24:25] == b"\x10"
            if deep or image.mode.startswith(("I", "F")):
                raise UserError(f"{path}: has more than 8 bits a channel. Convert it to 8 bits.")
            pixels = np.asarray(image.convert("L" if channels == 1 else "RGB"))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise UserError(f"{path}: is no image that pillow reads ({error}).") from None
    return pixels.reshape(*pixels.shape[:2], channels)


if __name__ == "__main__":
    main()
