"""The cache of decoded datasets: a damaged file is decoded again."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from helpers.disk_datasets import (
    data_root,
    png,
    random_pixels,
    write_folder,
    write_hub,
    write_parquet,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from dstbench.data import datasets
from dstbench.data.images import Dataset, Images, fingerprint
from dstbench.data.sources import cache, decode


@pytest.fixture
def root(tmp_path, monkeypatch):
    return data_root(tmp_path, monkeypatch)


def cached(tmp_path: Path) -> Path:
    """The one file of the cache."""
    (path,) = (tmp_path / "cache").iterdir()
    return path


def test_second_load_is_a_memory_map_without_decoding(root, tmp_path, monkeypatch):
    write_hub(root / "hub")
    first = datasets.load("hub")
    monkeypatch.setattr(decode, "_pixels", None)  # decoding now raises
    second = datasets.load("hub")
    assert isinstance(second.train.pixels, np.memmap) and not second.train.pixels.flags.writeable
    assert (second.train.pixels == first.train.pixels).all()
    assert (second.test.labels == first.test.labels).all()
    assert (second.sha256, second.classes) == (first.sha256, first.classes)
    assert cached(tmp_path).stat().st_mode & 0o044 == 0o044 & ~current_umask()


def current_umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


@pytest.mark.parametrize("write", [write_hub, write_folder])
def test_changed_source_is_decoded_again(root, write):
    write(root / "set")
    before = datasets.load("set")
    path = next(p for p in sorted((root / "set").rglob("*")) if p.is_file())
    if path.suffix == ".parquet":
        write_parquet(path, [png(p) for p in random_pixels(2, seed=1)], [2, 0])
    else:
        path.write_bytes(png(random_pixels(1, seed=1)[0]))
    assert datasets.load("set").sha256 != before.sha256


def damage_truncate(content: bytes) -> bytes:
    return content[:-100]


def damage_flip(content: bytes) -> bytes:
    return content[:-50] + bytes([content[-50] ^ 4]) + content[-49:]


def damage_label(content: bytes) -> bytes:
    start = content.index(b"}\n") // cache.ALIGNMENT * cache.ALIGNMENT + cache.ALIGNMENT
    return content[:start] + bytes([content[start] ^ 1]) + content[start + 1 :]


def damage_header(content: bytes) -> bytes:
    return content.replace(b'"train": [', b'"train": {')


def damage_shape(content: bytes) -> bytes:
    return content.replace(b'"train": [6, 4, 5, 3]', b'"train": [6, 5, 4, 3]')


def damage_empty(content: bytes) -> bytes:
    return b""


@pytest.mark.parametrize(
    "damage",
    [damage_truncate, damage_flip, damage_label, damage_header, damage_shape, damage_empty],
)
def test_damaged_cache_is_rebuilt(root, tmp_path, caplog, damage):
    pixels = write_hub(root / "hub")
    datasets.load("hub")
    path = cached(tmp_path)
    intact = path.read_bytes()
    path.write_bytes(damage(intact))
    assert path.read_bytes() != intact
    assert (datasets.load("hub").train.pixels == pixels[:6]).all()
    assert str(path) in caplog.text and "damaged" in caplog.text
    assert path.read_bytes() == intact


def test_unwritable_cache_only_warns(root, tmp_path, caplog):
    pixels = write_hub(root / "hub")
    (tmp_path / "cache").write_text("a file where the folder should be")
    assert (datasets.load("hub").train.pixels == pixels[:6]).all()
    assert "DSTBENCH_CACHE" in caplog.text


def test_caches_are_written_without_leftovers_of_killed_writers(root, tmp_path):
    write_hub(root / "hub")
    (tmp_path / "cache").mkdir()
    for name in (".x.images.1234.tmp", ".x.encoded.1234.tmp"):
        (tmp_path / "cache" / name).touch()
        os.utime(tmp_path / "cache" / name, (0, 0))
    datasets.load("hub")
    datasets.load_encoded("hub")
    assert not list((tmp_path / "cache").glob(".*"))


def test_two_processes_build_the_cache_at_once(root, tmp_path):
    write_hub(root / "hub")
    code = "from dstbench.data import datasets; print(datasets.load('hub').sha256)"
    processes = [
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    answers = [process.communicate(timeout=300)[0].strip() for process in processes]
    assert all(process.returncode == 0 for process in processes)
    assert answers == [datasets.load("hub").sha256] * 2
    assert cached(tmp_path).suffix == ".images"


@settings(max_examples=10, deadline=None)
@given(
    counts=st.tuples(st.integers(1, 5), st.integers(1, 5)),
    shape=st.tuples(st.integers(1, 9), st.integers(1, 9), st.sampled_from([1, 3])),
    classes=st.lists(st.text(max_size=8), min_size=1, max_size=4),
    seed=st.integers(0, 99),
)
def test_cache_returns_the_written_dataset(tmp_path_factory, counts, shape, classes, seed):
    rng = np.random.default_rng(seed)
    train, test = (
        Images(rng.integers(0, 256, (n, *shape), dtype=np.uint8), rng.integers(0, len(classes), n))
        for n in counts
    )
    sha256 = fingerprint(train, test, tuple(classes))
    given_ = Dataset("any", train, test, tuple(classes), sha256)
    path = tmp_path_factory.mktemp("cache") / "any.images"
    cache.write(path, given_)
    read = cache.read(path, "any")
    for one, other in ((read.train, train), (read.test, test)):
        assert (one.pixels == other.pixels).all() and (one.labels == other.labels).all()
        assert one.pixels.shape == other.pixels.shape and one.labels.dtype == np.int64
    assert read.classes == given_.classes and read.sha256 == sha256
    assert fingerprint(test, train, tuple(classes)) != sha256 or counts[0] == counts[1]
