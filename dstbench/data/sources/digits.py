"""scikit-learn's handwritten digits, the embedded default dataset."""

import numpy as np

from dstbench.data.images import Dataset, Images, fingerprint

DIGITS = "digits"


def load() -> Dataset:
    """Return scikit-learn's 8×8 digits: 1,438 for training, 359 for testing.

    # assumed: the source has no split, so the test images are the first fifth of one fixed shuffle
    # (not stratified), the same for every run and every protocol.
    """
    from sklearn.datasets import load_digits

    source = load_digits()
    pixels = (15 * source.images).astype(np.uint8)[..., None]  # ink is 0 … 16 in the source
    labels = source.target.astype(np.int64)
    order = np.random.default_rng(0).permutation(len(labels))
    testing, training = order[: len(order) // 5], order[len(order) // 5 :]
    train = Images(pixels[training], labels[training])
    test = Images(pixels[testing], labels[testing])
    classes = tuple(str(c) for c in source.target_names)
    return Dataset(DIGITS, train, test, classes, fingerprint(train, test, classes))
