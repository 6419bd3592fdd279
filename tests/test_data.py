"""Datasets: every layout read exactly, every fault named, the cache whole or rebuilt."""

import hashlib
import io
import json
import os
import pickle
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from urllib.error import URLError

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pyarrow import parquet as pq

from dstbench import cache, cifar, data, decode
from dstbench.errors import UserError
from dstbench.images import Dataset, Images, fingerprint


@pytest.fixture
def root(tmp_path, monkeypatch):
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


def refused(name: str, *words: object) -> None:
    """Loading must fail with one message that holds all the words."""
    with pytest.raises(UserError) as error:
        data.load(name)
    for word in words:
        assert str(word) in error.value.message


# --- digits -------------------------------------------------------------------------------------


def test_digits_are_scikit_learns_each_once():
    from sklearn.datasets import load_digits

    digits = data.load("digits")
    assert digits.train.pixels.shape == (1438, 8, 8, 1)
    assert digits.test.pixels.shape == (359, 8, 8, 1)
    assert digits.train.pixels.dtype == np.uint8 and digits.train.labels.dtype == np.int64
    assert digits.classes == tuple("0123456789")

    def rows(pixels, labels):
        return sorted(map(tuple, np.column_stack([pixels.reshape(len(labels), -1), labels])))

    ours = [
        np.concatenate([getattr(i, kind) for i in (digits.train, digits.test)])
        for kind in ("pixels", "labels")
    ]
    theirs = load_digits()
    assert rows(*ours) == rows(theirs.images * 15, theirs.target)


def test_digits_never_change():
    assert data.load("digits").sha256.startswith("69467d8c93d871da")


# --- CIFAR --------------------------------------------------------------------------------------


def write_cifar(name: str, root: Path, monkeypatch, content: dict[str, object]) -> Path:
    """Fake original files, with their MD5 in place of the published ones."""
    original = cifar.ORIGINALS[name]
    folder = root / original.folder
    folder.mkdir(parents=True)
    digests = {}
    for file, value in content.items():
        (folder / file).write_bytes(pickle.dumps(value))
        digests[file] = hashlib.md5((folder / file).read_bytes()).hexdigest()

    def known(files):
        return {file: digests[file] for file in files}

    faked = replace(
        original, train=known(original.train), test=known(original.test), meta=known(original.meta)
    )
    monkeypatch.setitem(cifar.ORIGINALS, name, faked)
    return folder


def planes(pixels: np.ndarray) -> np.ndarray:
    """(n, 32, 32, 3) as the rows of a CIFAR file."""
    return pixels.transpose(0, 3, 1, 2).reshape(len(pixels), -1)


@pytest.fixture
def cifar10(root, monkeypatch):
    pixels = random_pixels(24, (32, 32, 3))
    labels = [i % 3 for i in range(24)]
    files = [f"data_batch_{i}" for i in range(1, 6)] + ["test_batch"]
    content: dict[str, object] = {
        file: {"data": planes(pixels[4 * i : 4 * i + 4]), "labels": labels[4 * i : 4 * i + 4]}
        for i, file in enumerate(files)
    }
    content["batches.meta"] = {"label_names": ["ant", "bee", "cow"]}
    return write_cifar("cifar10", root, monkeypatch, content), pixels, labels


def test_cifar10_is_read_in_order(cifar10):
    _, pixels, labels = cifar10
    loaded = data.load("cifar10")
    assert (loaded.train.pixels == pixels[:20]).all() and (loaded.test.pixels == pixels[20:]).all()
    assert loaded.train.labels.tolist() == labels[:20]
    assert loaded.test.labels.tolist() == labels[20:]
    assert loaded.name == "cifar10" and loaded.classes == ("ant", "bee", "cow")


def test_cifar100_uses_fine_labels(root, monkeypatch):
    pixels = random_pixels(6, (32, 32, 3))

    def part(rows, fine):
        return {"data": planes(rows), "fine_labels": fine, "coarse_labels": [9] * len(fine)}

    content = {
        "train": part(pixels[:4], [0, 1, 1, 0]),
        "test": part(pixels[4:], [1, 0]),
        "meta": {"fine_label_names": ["oak", "pine"], "coarse_label_names": ["tree"]},
    }
    write_cifar("cifar100", root, monkeypatch, content)
    loaded = data.load("cifar100")
    assert loaded.train.labels.tolist() == [0, 1, 1, 0] and loaded.classes == ("oak", "pine")


@pytest.mark.parametrize("name", cifar.ORIGINALS)
def test_checksums_are_torchvisions(name):
    import torchvision

    ours = cifar.ORIGINALS[name]
    theirs = getattr(torchvision.datasets, ours.loader)
    assert ours.folder == theirs.base_folder
    assert list(ours.train.items()) == [tuple(entry) for entry in theirs.train_list]
    assert list(ours.test.items()) == [tuple(entry) for entry in theirs.test_list]
    assert ours.meta == {theirs.meta["filename"]: theirs.meta["md5"]}
    assert ours.names_key == theirs.meta["key"]


def test_missing_cifar_says_which_file_and_what_would_do(cifar10):
    folder, *_ = cifar10
    (folder / "data_batch_3").unlink()
    refused("cifar10", folder / "data_batch_3", "missing", "data fetch cifar10", "--data-root")
    assert "lacks data_batch_3" in data.names(None)["cifar10"].replace(f"{folder} ", "")


def test_half_downloaded_cifar_is_named(cifar10):
    folder, *_ = cifar10
    content = (folder / "test_batch").read_bytes()
    (folder / "test_batch").write_bytes(content[:100])
    refused("cifar10", folder / "test_batch", "100 bytes", "corrupt or half downloaded", "fetch")


class Trap:
    """Unpickling it makes a folder."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_a_foreign_pickle_is_never_opened(cifar10, tmp_path):
    folder, *_ = cifar10
    (folder / "data_batch_1").write_bytes(pickle.dumps(Trap(tmp_path / "sprung")))
    refused("cifar10", folder / "data_batch_1", "corrupt")
    assert not (tmp_path / "sprung").exists()


# --- fetching -----------------------------------------------------------------------------------


class Broken:
    def __init__(self, root, download):
        (Path(root) / "half.tar.gz").write_bytes(b"half")
        raise URLError("no route to host")


@pytest.mark.parametrize("where", [".", "data", "new/data"])
def test_failed_fetch_leaves_nothing(tmp_path, monkeypatch, where):
    monkeypatch.setattr("torchvision.datasets.CIFAR10", Broken)
    with pytest.raises(UserError, match=r"cifar10 could not be fetched.*no route to host"):
        data.fetch("cifar10", tmp_path / where)
    assert not any(tmp_path.iterdir())


def test_fetch_mends_what_is_corrupt_and_leaves_what_is_sound(cifar10, root, monkeypatch):
    folder, pixels, _ = cifar10
    sound = {path.name: path.read_bytes() for path in folder.iterdir()}
    calls = []

    class Server:
        def __init__(self, root, download):
            calls.append(root)
            copy = Path(root) / folder.name
            copy.mkdir()
            for name, content in sound.items():
                (copy / name).write_bytes(content)

    monkeypatch.setattr("torchvision.datasets.CIFAR10", Server)
    assert data.fetch("cifar10", None) == folder and not calls
    (folder / "test_batch").write_bytes(b"")
    assert data.fetch("cifar10", None) == folder and len(calls) == 1
    assert (data.load("cifar10").test.pixels == pixels[20:]).all()
    assert [path.name for path in root.iterdir()] == [folder.name]


def test_only_the_originals_are_fetched():
    with pytest.raises(UserError, match="embedded"):
        data.fetch("digits", None)
    with pytest.raises(UserError, match="Did you mean 'cifar10'"):
        data.fetch("cifar-10", None)


# --- image folders ------------------------------------------------------------------------------


def write_folder(folder: Path, test: str = "test", shape=(4, 5, 3)) -> np.ndarray:
    """Two classes: three training images of each and one test image; pixels in reading order."""
    pixels = random_pixels(8, shape)
    files = [f"train/{c}/{i}.png" for c in ("cat", "dog") for i in range(3)]
    files += [f"{test}/{c}/0.PNG" for c in ("cat", "dog")]
    for file, image in zip(files, pixels, strict=True):
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_bytes(png(image))
    return pixels


@pytest.mark.parametrize(("test", "shape"), [("test", (4, 5, 3)), ("val", (6, 6, 1))])
def test_image_folder_is_read_by_class_and_name(root, test, shape):
    pixels = write_folder(root / "pets", test, shape)
    loaded = data.load("pets")
    assert (loaded.train.pixels == pixels[:6]).all() and (loaded.test.pixels == pixels[6:]).all()
    assert loaded.train.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert loaded.test.labels.tolist() == [0, 1]
    assert loaded.classes == ("cat", "dog")


def test_large_images_are_decoded_in_threads_alike(root):
    pixels = write_folder(root / "large", shape=(80, 80, 3))
    assert (data.load("large").train.pixels == pixels[:6]).all()


def test_grey_among_colour_becomes_colour(root):
    pixels = write_folder(root / "mixed")
    grey = random_pixels(1, (4, 5))[0]
    (root / "mixed/train/cat/0.png").write_bytes(png(grey))
    loaded = data.load("mixed")
    assert (loaded.train.pixels[0] == grey[..., None]).all()
    assert (loaded.train.pixels[1:] == pixels[1:6]).all()


def test_transparency_is_dropped(root):
    pixels = write_folder(root / "clear")
    with_alpha = np.concatenate([pixels[0], np.full((4, 5, 1), 7, np.uint8)], axis=2)
    (root / "clear/train/cat/0.png").write_bytes(png(with_alpha))
    assert (data.load("clear").train.pixels[0] == pixels[0]).all()


def test_images_of_two_sizes_are_refused(root):
    write_folder(root / "pets")
    (root / "pets/test/dog/0.PNG").write_bytes(png(random_pixels(1, (6, 7, 3))[0]))
    refused("pets", root / "pets/test/dog/0.PNG", "7×6", root / "pets/train/cat/0.png", "5×4")


@pytest.mark.parametrize(
    ("content", "word"), [(b"", "empty"), (b"hello", "not an image"), (None, "truncated")]
)
def test_unreadable_image_is_named(root, content, word):
    write_folder(root / "pets", shape=(40, 40, 3))
    path = root / "pets/train/dog/2.png"
    path.write_bytes(path.read_bytes()[:500] if content is None else content)
    refused("pets", path, word)


def test_deep_images_are_refused(root):
    write_folder(root / "pets")
    path = root / "pets/train/dog/2.png"
    Image.fromarray(np.zeros((4, 5), np.uint16)).save(path)
    refused("pets", path, "8 bits")


def test_incomplete_folders_are_refused(root):
    write_folder(root / "no_test")
    (root / "no_test/test").rename(root / "no_test/other")
    refused("no_test", root / "no_test", "neither test/ nor val/")

    write_folder(root / "stranger")
    (root / "stranger/test/dog").rename(root / "stranger/test/frog")
    refused("stranger", root / "stranger/test/frog", "cat, dog")

    write_folder(root / "lacking")
    (root / "lacking/test/dog/0.PNG").rename(root / "lacking/test/dog/0.txt")
    refused("lacking", root / "lacking/test/dog", "holds no image")

    (root / "hollow/train").mkdir(parents=True)
    (root / "hollow/test").mkdir()
    refused("hollow", root / "hollow/train", "is empty")

    (root / "nothing").mkdir()
    refused("nothing", root / "nothing", "holds nothing", "train*.parquet")


# --- parquet ------------------------------------------------------------------------------------


def write_parquet(path, images, labels, image="img", label="label", metadata=None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    struct = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    rows = [{"bytes": content, "path": None} for content in images]
    table = pa.table({image: pa.array(rows, struct), label: labels})
    pq.write_table(table.replace_schema_metadata(metadata), path)


def write_hub(folder: Path, image="img", label="label", metadata=None) -> np.ndarray:
    """Two training shards of three rows, a test file of two."""
    pixels = random_pixels(8)
    encoded = [png(p) for p in pixels]
    for i in (0, 1):
        write_parquet(
            folder / f"train-0000{i}-of-00002.parquet",
            encoded[3 * i : 3 * i + 3], [0, 1, 2], image, label, metadata,
        )  # fmt: skip
    write_parquet(folder / "test.parquet", encoded[6:], [2, 0], image, label, metadata)
    return pixels


@pytest.mark.parametrize(("image", "label"), [("img", "label"), ("image", "fine_label")])
def test_parquet_is_read_in_order(root, image, label):
    pixels = write_hub(root / "hub", image, label)
    loaded = data.load("hub")
    assert (loaded.train.pixels == pixels[:6]).all() and (loaded.test.pixels == pixels[6:]).all()
    assert loaded.train.labels.tolist() == [0, 1, 2, 0, 1, 2]
    assert loaded.test.labels.tolist() == [2, 0]
    assert loaded.classes == ("0", "1", "2")


def test_parquet_class_names_come_from_its_metadata(root):
    features = {"label": {"names": ["ant", "bee", "cow", "dog"], "_type": "ClassLabel"}}
    write_hub(root / "hub", metadata={"huggingface": json.dumps({"info": {"features": features}})})
    assert data.load("hub").classes == ("ant", "bee", "cow", "dog")


def test_validation_file_stands_in_for_test(root):
    pixels = write_hub(root / "hub")
    (root / "hub/test.parquet").rename(root / "hub/validation.parquet")
    assert (data.load("hub").test.pixels == pixels[6:]).all()
    (root / "hub/validation.parquet").unlink()
    refused("hub", root / "hub", "test*.parquet or validation*.parquet")


def test_missing_shard_is_named(root):
    write_hub(root / "hub")
    (root / "hub/train-00001-of-00002.parquet").unlink()
    refused("hub", root / "hub/train-00001-of-00002.parquet", "missing")


@pytest.mark.parametrize("size", [0, 300])
def test_half_downloaded_parquet_is_named(root, size):
    write_hub(root / "hub")
    path = root / "hub/train-00001-of-00002.parquet"
    path.write_bytes(path.read_bytes()[:size])
    refused("hub", path, "half downloaded", f"{size} bytes")


def test_corrupt_image_in_parquet_is_named_by_row(root):
    pixels = write_hub(root / "hub")
    path = root / "hub/test.parquet"
    write_parquet(path, [png(pixels[6]), b"junk"], [2, 0])
    refused("hub", f"{path}, row 1", "not an image", "4 bytes")
    write_parquet(path, [png(pixels[6]), None], [2, 0])
    refused("hub", f"{path}, row 1", "no image bytes")
    write_parquet(path, [], pa.array([], pa.int64()))
    refused("hub", path, "no rows")


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        ([3, 0], ("row 0", "label 3", "0 … 2")),
        ([0, -1], ("row 1", "label -1", "0 … 2")),
        ([0, None], ("whole numbers", "1 rows")),
        (["cat", "dog"], ("whole numbers", "string")),
    ],
)
def test_wrong_test_labels_are_named(root, labels, words):
    pixels = write_hub(root / "hub")
    path = root / "hub/test.parquet"
    write_parquet(path, [png(p) for p in pixels[6:]], labels)
    refused("hub", path, *words)


@pytest.mark.parametrize(
    ("labels", "words"),
    [([1, 2, 3], ("row 0", "label 1", "no training image has label 0")),
     ([0, 1, 10**12], ("row 2", f"label {10**12}", "no training image has label 2"))],
)  # fmt: skip
def test_training_labels_with_gaps_are_refused(root, labels, words):
    pixels = write_hub(root / "hub")
    (root / "hub/train-00001-of-00002.parquet").unlink()
    path = (root / "hub/train-00000-of-00002.parquet").rename(root / "hub/train.parquet")
    write_parquet(path, [png(p) for p in pixels[:3]], labels)
    refused("hub", path, *words)


def test_missing_columns_are_named(root):
    write_hub(root / "hub", image="picture")
    refused("hub", "train-00000-of-00002.parquet", "'img' or 'image'", "picture, label")
    write_hub(root / "hub", label="kind")
    refused("hub", "train-00000-of-00002.parquet", "'label' or 'fine_label'", "img, kind")
    table = pa.table({"img": [[1, 2]], "label": [0]})
    pq.write_table(table, root / "hub/train-00000-of-00002.parquet")
    refused("hub", "train-00000-of-00002.parquet", "list", "struct")


# --- ids and places -----------------------------------------------------------------------------


def test_unknown_ids_are_refused(root):
    write_folder(root / "pets")
    refused("cifar1O", root, "Did you mean 'cifar10'?")
    refused("pet", "Did you mean 'pets'?", "--data-root", "DSTBENCH_DATA")
    for name in ("", ".", "..", "../data", "pets/train", str(root / "pets")):
        refused(name, "no dataset")


def test_names_say_what_is_there(root):
    write_folder(root / "pets")
    write_hub(root / "hub")
    (root / "notes").mkdir()
    states = data.names(None)
    assert list(states) == ["digits", "cifar10", "cifar100", "hub", "pets"]
    assert "embedded" in states["digits"] and str(root / "pets") in states["pets"]
    assert "not found" in states["cifar100"] and "data fetch cifar100" in states["cifar100"]
    assert list(data.names(root / "nowhere")) == ["digits", "cifar10", "cifar100"]


def test_arguments_win_over_the_environment(root, tmp_path, monkeypatch):
    other = tmp_path / "other"
    write_folder(other / "pets")
    assert data.load("pets", other, tmp_path / "second").name == "pets"
    assert any((tmp_path / "second").iterdir()) and not (tmp_path / "cache").exists()
    monkeypatch.delenv("DSTBENCH_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    data.load("pets", other)
    assert any((tmp_path / "xdg/dstbench").iterdir())
    monkeypatch.delenv("DSTBENCH_DATA")
    assert data.root_of(None) == Path("data")


# --- the cache ----------------------------------------------------------------------------------


def cached(tmp_path: Path) -> Path:
    (path,) = (tmp_path / "cache").iterdir()
    return path


def test_second_load_is_a_memory_map_and_decodes_nothing(root, tmp_path, monkeypatch):
    write_hub(root / "hub")
    first = data.load("hub")
    monkeypatch.setattr(decode, "_pixels", None)  # any decoding would now raise
    second = data.load("hub")
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
    before = data.load("set")
    path = next(p for p in sorted((root / "set").rglob("*")) if p.is_file())
    if path.suffix == ".parquet":
        write_parquet(path, [png(p) for p in random_pixels(2, seed=1)], [2, 0])
    else:
        path.write_bytes(png(random_pixels(1, seed=1)[0]))
    assert data.load("set").sha256 != before.sha256


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
def test_damaged_cache_is_noticed_and_rebuilt(root, tmp_path, caplog, damage):
    pixels = write_hub(root / "hub")
    data.load("hub")
    path = cached(tmp_path)
    whole = path.read_bytes()
    path.write_bytes(damage(whole))
    assert path.read_bytes() != whole
    assert (data.load("hub").train.pixels == pixels[:6]).all()
    assert str(path) in caplog.text and "damaged" in caplog.text
    assert path.read_bytes() == whole


def test_unwritable_cache_costs_a_warning_only(root, tmp_path, caplog):
    pixels = write_hub(root / "hub")
    (tmp_path / "cache").write_text("a file where the folder should be")
    assert (data.load("hub").train.pixels == pixels[:6]).all()
    assert "DSTBENCH_CACHE" in caplog.text


def test_two_processes_decode_at_once(root, tmp_path):
    write_hub(root / "hub")
    code = "from dstbench import data; print(data.load('hub').sha256)"
    processes = [
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    answers = [process.communicate(timeout=60)[0].strip() for process in processes]
    assert all(process.returncode == 0 for process in processes)
    assert answers == [data.load("hub").sha256] * 2
    assert cached(tmp_path).suffix == ".images"


@settings(max_examples=25, deadline=None)
@given(
    counts=st.tuples(st.integers(1, 5), st.integers(1, 5)),
    shape=st.tuples(st.integers(1, 9), st.integers(1, 9), st.sampled_from([1, 3])),
    classes=st.lists(st.text(max_size=8), min_size=1, max_size=4),
    seed=st.integers(0, 99),
)
def test_cache_gives_back_what_it_was_given(tmp_path_factory, counts, shape, classes, seed):
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
