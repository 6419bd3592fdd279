"""Small stand-ins for CIFAR-10 and CIFAR-100, and the containers that they come in."""

import io
import pickle
from pathlib import Path

import numpy as np
from PIL import Image

from dstbench.data.images import Images, fingerprint
from dstbench.data.sources import published
from dstbench.data.sources.cifar import ORIGINALS
from helpers.disk_datasets import png, random_pixels, write_parquet

CLASSES = ("ant", "bee", "cow")


def small_splits(seed: int = 0) -> tuple[Images, Images]:
    """Return 20 training and 6 test images of 32×32 in 3 classes."""
    pixels = random_pixels(26, (32, 32, 3), seed)
    labels = np.arange(26, dtype=np.int64) % 3
    return Images(pixels[:20], labels[:20]), Images(pixels[20:], labels[20:])


def publish(
    title: str, train: Images, test: Images, classes: tuple[str, ...]
) -> published.Published:
    """Return the description of a dataset, from its images in any order."""

    def split_of(images: Images, digests: list[bytes]) -> published.PublishedSplit:
        return published.PublishedSplit(
            len(images), published.split_sha256(digests), published.pixels_sha256(images)
        )

    height, width, channels = train.pixels.shape[1:]
    in_train, in_test = published.image_digests(train), published.image_digests(test)
    sha256 = fingerprint(
        published.in_canonical_order(train, in_train),
        published.in_canonical_order(test, in_test),
        classes,
    )
    return published.Published(
        title,
        (height, width, channels),
        classes,
        split_of(train, in_train),
        split_of(test, in_test),
        sha256,
    )


def publish_small(monkeypatch, name: str = "cifar10") -> tuple[Images, Images]:
    """Make the small splits the published content of a dataset; return them."""
    train, test = small_splits()
    known = publish(published.PUBLISHED[name].title, train, test, CLASSES)
    monkeypatch.setitem(published.PUBLISHED, name, known)
    return train, test


def cifar_file(name: str, pixels: np.ndarray, labels: np.ndarray) -> dict[str, object]:
    """Return the content of an original file with these images."""
    planes = pixels.transpose(0, 3, 1, 2).reshape(len(pixels), -1)
    return {"data": planes, ORIGINALS[name].labels_key: labels.tolist()}


def write_originals(
    folder: Path, name: str, train: Images, test: Images, protocol: int = 4
) -> Path:
    """Write the images as original files, pickled; return the folder."""
    original = ORIGINALS[name]
    folder.mkdir(parents=True)
    parts = np.array_split(np.arange(len(train)), len(original.train))
    content = {
        file: cifar_file(name, train.pixels[part], train.labels[part])
        for file, part in zip(original.train, parts, strict=True)
    }
    content[original.test] = cifar_file(name, test.pixels, test.labels)
    content[original.meta] = {original.names_key: list(CLASSES)}
    for file, value in content.items():
        (folder / file).write_bytes(pickle.dumps(value, protocol))
    return folder


def webp(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "WEBP", lossless=True, exact=True)
    return buffer.getvalue()


def write_shards(folder: Path, train: Images, test: Images, encode=png, shards: int = 2) -> Path:
    """Write the images as parquet files in a shuffled order; return the folder."""
    for which, images, count in (("train", train, shards), ("test", test, 1)):
        order = np.random.default_rng(1).permutation(len(images))
        for i, part in enumerate(np.array_split(order, count)):
            write_parquet(
                folder / f"{which}-{i:05}-of-{count:05}.parquet",
                [encode(images.pixels[k]) for k in part],
                images.labels[part].tolist(),
            )
    return folder


def write_class_folders(folder: Path, train: Images, test: Images, classes=CLASSES) -> Path:
    """Write the images as PNG files in folders named by `classes`; return the folder."""
    for which, images in (("train", train), ("test", test)):
        for i, (pixels, label) in enumerate(zip(images.pixels, images.labels, strict=True)):
            path = folder / which / classes[label] / f"{i:03}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(png(pixels))
    return folder
