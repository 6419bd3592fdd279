"""CIFAR-10 and CIFAR-100 by content: every image and label is checked, then put into one order.

The same images are distributed in several containers (their authors' files, parquet files, image
folders), each in its own order. Here a dataset is accepted if its images and labels are exactly
the published ones, whatever the container, and is then sorted by the digests of its images: a run
on any container is the same run. Source of the images: Krizhevsky 2009.
"""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from dstbench.data.images import Images, Source
from dstbench.errors import UserError


@dataclass(frozen=True)
class PublishedSplit:
    """The content of a published split, in any order.

    count: number of images.
    sha256: of the sorted sha256 of every image, each of the label (one byte) and the pixels (rows,
        RGB interleaved).
    pixels_sha256: the same without the labels, so that wrong labels can be told from wrong images.
    """

    count: int
    sha256: str
    pixels_sha256: str


@dataclass(frozen=True)
class Published:
    """The content of a published dataset.

    title: its name in messages.
    shape: (height, width, channels) of every image.
    classes: class names; a label is an index into them.
    train, test: the two splits.
    sha256: `fingerprint` of the dataset in canonical order: the `dataset_sha256` of its records.
    """

    title: str
    shape: tuple[int, int, int]
    classes: tuple[str, ...]
    train: PublishedSplit
    test: PublishedSplit
    sha256: str


CIFAR100_CLASSES = """
apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly
camel can castle caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile
cup dinosaur dolphin elephant flatfish forest fox girl hamster house kangaroo keyboard lamp
lawn_mower leopard lion lizard lobster man maple_tree motorcycle mountain mouse mushroom oak_tree
orange orchid otter palm_tree pear pickup_truck pine_tree plain plate poppy porcupine possum
rabbit raccoon ray road rocket rose sea seal shark shrew skunk skyscraper snail snake spider
squirrel streetcar sunflower sweet_pepper table tank telephone television tiger tractor train
trout tulip turtle wardrobe whale willow_tree wolf woman worm
"""

PUBLISHED = {
    "cifar10": Published(
        title="CIFAR-10",
        shape=(32, 32, 3),
        classes=(
            "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship",
            "truck",
        ),
        train=PublishedSplit(
            count=50_000,
            sha256="d59acf989e068e709ce686cda292672c7b212c08d29d3d3e6d8c3aa99eba6a85",
            pixels_sha256="6bebf6967ad9d2d12d9cf95f54164bd95a0954d3177f1285fa8dd3673671ca76",
        ),
        test=PublishedSplit(
            count=10_000,
            sha256="899683d46c3a8c66fd56e1af12202e69fe5a4517be10b0f68e04c78fe585c57c",
            pixels_sha256="eb97bdfceb97fec3832a6abdbbf9f16340a510375c77ce1b32c45de1e6d88318",
        ),
        sha256="5972aa72355ef3adb99bf34c45fa0003904af9393fb51cd6f559a3546053309d",
    ),
    "cifar100": Published(
        title="CIFAR-100",
        shape=(32, 32, 3),
        classes=tuple(CIFAR100_CLASSES.split()),
        train=PublishedSplit(
            count=50_000,
            sha256="36ce7a701fbea47796e570c34382aad50f2539687cfcbc6ae96e2f56530d29b6",
            pixels_sha256="1fdbd1ec6829d0aa3ca199090f26ed4882e2f95e8778e5ace443d46a74d03522",
        ),
        test=PublishedSplit(
            count=10_000,
            sha256="d3cd5d87a1b9317a0982c8ef5535fe3b86da8da90b13ce5e9b23ea06400dd5eb",
            pixels_sha256="a6b105ef68bb88cdefbc5f146dd91428d5025f26ecbaeffc807834d2476a30a0",
        ),
        sha256="e1ff3924035aa83c2c02bbd97bfbdab90ee5d22c348baf3c50ad04defa771f61",
    ),
}  # fmt: skip


def verified(source: Source, name: str, where: object) -> Source:
    """Return a source of the same images that are checked, and sorted by `in_canonical_order`.

    source: the container.
    name: a key of PUBLISHED.
    where: names the container in messages.

    Decoding raises UserError: when an image or a label is not the published one.
    """
    known = PUBLISHED[name]

    def decode() -> tuple[Images, Images, tuple[str, ...]]:
        train, test, classes = source.decode()
        splits: list[Images] = []
        faults: list[str] = []
        for which, images, split in (("training", train, known.train), ("test", test, known.test)):
            images = _with_published_labels(images, classes, known)
            digests = image_digests(images)
            faults += _faults(which, images, digests, split, known)
            splits.append(in_canonical_order(images, digests))
        if faults:
            raise UserError(
                f"{where} is not {known.title}: {'; '.join(faults)}. {name} stands for the exact "
                f"published images: `dstbench data fetch {name}` downloads them. To use others, "
                "put them as an image folder or parquet files in a folder with another name, such "
                f"as {name}-copy, and give that as --dataset."
            )
        return splits[0], splits[1], known.classes

    return Source(f"{source.key} as {known.sha256}", decode, known.sha256)


def image_digests(images: Images) -> list[bytes]:
    """Return the sha256 of every image: of its label as one byte, and its pixels."""
    pixels = np.ascontiguousarray(images.pixels)
    labels = images.labels.astype(np.uint8)
    return [
        hashlib.sha256(bytes((label,)) + image.data).digest()
        for label, image in zip(labels.tolist(), pixels, strict=True)
    ]


def in_canonical_order(images: Images, digests: list[bytes]) -> Images:
    """Return the images sorted by their digests; images of equal digests are equal."""
    order = sorted(range(len(digests)), key=digests.__getitem__)
    return images[np.array(order, dtype=np.int64)]


def split_sha256(digests: Iterable[bytes]) -> str:
    """Return the sha256 (hex) of the sorted digests of a split's images."""
    return hashlib.sha256(b"".join(sorted(digests))).hexdigest()


def pixels_sha256(images: Images) -> str:
    """Return the sha256 (hex) of the sorted sha256 of every image's pixels, without its label."""
    pixels = np.ascontiguousarray(images.pixels)
    return split_sha256(hashlib.sha256(image.data).digest() for image in pixels)


def _with_published_labels(images: Images, classes: tuple[str, ...], known: Published) -> Images:
    """Return the images with their labels renumbered by class name, where the names permit it.

    An image folder numbers its classes in the order of their names, which may be the published
    names or the published numbers.
    """
    if _outside(images.labels, known).any():
        return images
    for names in (known.classes, tuple(map(str, range(len(known.classes))))):
        if sorted(classes) == sorted(names):
            numbers = np.array([names.index(name) for name in classes], dtype=np.int64)
            return Images(images.pixels, numbers[images.labels])
    return images


def _outside(labels: np.ndarray, known: Published) -> np.ndarray:
    """Return bool (n,): whether a label is no index into the published classes."""
    return (labels < 0) | (labels >= len(known.classes))


def _faults(
    which: str, images: Images, digests: list[bytes], split: PublishedSplit, known: Published
) -> Iterator[str]:
    """Yield in what a split differs from the published one."""
    height, width, channels = known.shape
    if images.pixels.shape[1:] != known.shape:
        h, w, c = images.pixels.shape[1:]
        yield (
            f"its {which} images are {w}×{h} with {c} channels instead of {width}×{height} with "
            f"{channels}"
        )
    elif len(images) != split.count:
        yield f"it has {len(images):,} {which} images instead of {split.count:,}"
    elif _outside(images.labels, known).any():
        yield f"its {which} images have labels other than 0 … {len(known.classes) - 1}"
    elif split_sha256(digests) != split.sha256:
        if pixels_sha256(images) == split.pixels_sha256:
            yield f"its {which} images are the published ones, but some of their labels differ"
        else:
            yield (
                f"the pixels of some {which} images differ, as after JPEG coding, scaling or "
                "editing"
            )
