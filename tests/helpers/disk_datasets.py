"""Small datasets on disk."""

import io
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image
from pyarrow import parquet as pq

from dstbench.data import datasets
from dstbench.errors import UserError


def data_root(tmp_path: Path, monkeypatch) -> Path:
    """Set an empty data root and a cache in the environment; return the data root."""
    monkeypatch.setenv("DSTBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("DSTBENCH_DATA", str(tmp_path / "data"))
    (tmp_path / "data").mkdir()
    return tmp_path / "data"


def random_pixels(n: int, shape: tuple[int, ...] = (4, 5, 3), seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (n, *shape), dtype=np.uint8)


def png(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels.squeeze()).save(buffer, "PNG")
    return buffer.getvalue()


def jpeg(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG")
    return buffer.getvalue()


def colour_image(i: int, mode: str = "RGB") -> Image.Image:
    """An image of one colour; colour and size depend on i, in 0 … 12."""
    return Image.new("RGB", (12 + i, 30 - 2 * i), (20 * i, 0, 255)).convert(mode)


def refused(name: str, *words: object) -> None:
    """Assert that loading fails with one message that contains all the words."""
    with pytest.raises(UserError) as error:
        datasets.load(name)
    for word in words:
        assert str(word) in error.value.message


def write_folder(folder: Path, test: str = "test", shape=(4, 5, 3)) -> np.ndarray:
    """Write two classes, each of three training images and a test image; return their pixels."""
    pixels = random_pixels(8, shape)
    files = [f"train/{c}/{i}.png" for c in ("cat", "dog") for i in range(3)]
    files += [f"{test}/{c}/0.PNG" for c in ("cat", "dog")]
    for file, image in zip(files, pixels, strict=True):
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_bytes(png(image))
    return pixels


def write_jpegs(folder: Path, classes: int, train: int = 12) -> None:
    """Write JPEGs of many sizes and modes; a class is a colour."""
    for split, count in (("train", train), ("val", 3)):
        for c in range(classes):
            (folder / split / f"class{c:02}").mkdir(parents=True)
            for i in range(count):
                image = colour_image((3 * c) % 11, ("RGB", "L", "CMYK")[i % 3])
                image = image.resize((15 + 3 * i, 40 - i))
                (folder / split / f"class{c:02}/{i}.JPEG").write_bytes(jpeg(image))


def write_parquet(path, images, labels, image="img", label="label", metadata=None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    struct = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    rows = [{"bytes": content, "path": None} for content in images]
    table = pa.table({image: pa.array(rows, struct), label: labels})
    pq.write_table(table.replace_schema_metadata(metadata), path)


def write_hub(folder: Path, image="img", label="label", metadata=None) -> np.ndarray:
    """Write two training files of three rows and a test file of two; return the pixels."""
    pixels = random_pixels(8)
    encoded = [png(p) for p in pixels]
    for i in (0, 1):
        write_parquet(
            folder / f"train-0000{i}-of-00002.parquet",
            encoded[3 * i : 3 * i + 3],
            [0, 1, 2],
            image,
            label,
            metadata,
        )
    write_parquet(folder / "test.parquet", encoded[6:], [2, 0], image, label, metadata)
    return pixels
