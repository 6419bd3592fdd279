"""The images of the self-test, which its program computes as well; see `self_test.c`."""

import numpy as np

from dstbench.data.images import Shape

IMAGES = 8


def self_test_images(image_shape: Shape) -> np.ndarray:
    """Return uint8 images, (n, height, width, channels)."""
    channels, height, width = image_shape
    x, numbers = 0, []
    for _ in range(IMAGES * channels * height * width):
        x = (1664525 * x + 1013904223) % 2**32
        numbers.append(x >> 24)
    return np.array(numbers, np.uint8).reshape(IMAGES, height, width, channels)
