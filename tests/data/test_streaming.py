"""Streamed batches: every image once an epoch, a function of (seed, step), whoever decodes."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.disk_datasets import data_root, png, write_parquet
from PIL import Image

from dstbench.data import datasets, streaming
from dstbench.data.batch_plan import whole
from dstbench.data.preprocessing import ImageNetPipeline
from dstbench.data.sources.encoded import EncodedImages, Files
from dstbench.data.streaming import StreamingBatches, streamed_plain
from dstbench.errors import UserError
from dstbench.training.distributed.process_group import ProcessGroup

PIPELINE = ImageNetPipeline(size=6, resize=10, mean=(0, 0, 0), std=(1, 1, 1)).fitted(None)
COUNT = 11


def picture(i: int, mode: str = "RGB") -> Image.Image:
    """One colour all over, which is its number; of a size of its own."""
    return Image.new("RGB", (12 + i, 30 - 2 * i), (20 * i, 0, 255)).convert(mode)


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """Eleven images, labelled by their number."""
    folder = tmp_path_factory.mktemp("images")
    for i in range(COUNT):
        picture(i).save(folder / f"{i}.png")
    names = np.array([f"{i}.png".encode() for i in range(COUNT)])
    return EncodedImages(Files(folder, names), np.arange(COUNT))


@pytest.fixture(params=[0, 2], ids=["by itself", "by two workers"])
def workers(request, monkeypatch):
    monkeypatch.setattr(streaming, "decoding_workers", lambda: request.param)


def stream(images, batch_size=4, seed=0, share=whole, indices=None):
    return StreamingBatches(images, PIPELINE, batch_size, seed, "cpu", indices, share)


def test_every_image_once_an_epoch_with_its_own_label(images, workers):
    batches = stream(images)
    assert batches.steps_per_epoch == 3
    epochs = []
    for epoch in range(2):
        made = [batches.at(3 * epoch + i) for i in range(3)]
        assert [len(y) for _, y in made] == [4, 4, 3]
        for x, y in made:
            assert x.shape[1:] == (3, 6, 6) and x.dtype == torch.float32
            assert x.is_contiguous(memory_format=torch.channels_last)
            red = (255 * x[:, 0]).round().long()
            assert (red == 20 * y[:, None, None]).all() and (x[:, 2] == 1).all()
        epochs.append([int(label) for _, y in made for label in y])
    assert sorted(epochs[0]) == sorted(epochs[1]) == list(range(COUNT)) and epochs[0] != epochs[1]


def noise(tmp_path, count=6):
    """Images of noise, in which every crop looks different."""
    rng = np.random.default_rng(0)
    for i in range(count):
        pixels = rng.integers(0, 256, (20 + i, 17, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{i}.png")
    names = np.array([f"{i}.png".encode() for i in range(count)])
    return EncodedImages(Files(tmp_path, names), np.arange(count))


def test_a_batch_depends_on_seed_and_step_alone(tmp_path, workers, monkeypatch):
    images = noise(tmp_path)
    through = stream(images)
    expected = [through.at(step) for step in range(6)]
    jumping = stream(images)
    monkeypatch.setattr(streaming, "decoding_workers", lambda: 1)
    for step in (3, 0, 1, 5):
        x, y = jumping.at(step)
        assert torch.equal(x, expected[step][0]) and torch.equal(y, expected[step][1])
    other = stream(images, seed=1).at(0)
    assert not torch.equal(other[0], expected[0][0])


def test_augmentation_differs_between_epochs(tmp_path):
    batches = stream(noise(tmp_path, 1), batch_size=1)
    crops = {batches.at(step)[0].numpy().tobytes() for step in range(20)}
    assert len(crops) == 20


def test_global_random_numbers_are_left_alone(images):
    before = torch.get_rng_state()
    streaming._Crops(images, PIPELINE, 0, stream(images).portions)[0]
    assert torch.equal(torch.get_rng_state(), before)


def test_shares_of_processes_make_the_whole_batch(tmp_path):
    images = noise(tmp_path)
    x, y = stream(images).at(1)
    shares = [stream(images, share=ProcessGroup(rank, 2).share).at(1) for rank in range(2)]
    assert torch.equal(torch.cat([s[0] for s in shares]), x)
    assert torch.equal(torch.cat([s[1] for s in shares]), y)


def test_only_the_chosen_images_are_drawn(images):
    _, y = stream(images, indices=np.array([7, 2, 9])).at(0)
    assert sorted(y.tolist()) == [2, 7, 9]


def test_plain_takes_the_centre_in_order(tmp_path, workers):
    pixels = np.random.default_rng(0).integers(0, 256, (3, 10, 10, 3), dtype=np.uint8)
    for i, image in enumerate(pixels):
        (tmp_path / f"{i}.png").write_bytes(png(image))
    names = np.array([b"0.png", b"1.png", b"2.png"])
    images = EncodedImages(Files(tmp_path, names), np.array([5, 6, 7]))
    made = list(streamed_plain(images, PIPELINE, 2, "cpu"))
    assert [y.tolist() for _, y in made] == [[5, 6], [7]]
    x = torch.cat([x for x, _ in made]).permute(0, 2, 3, 1).numpy()
    assert (x == pixels[:, 2:8, 2:8].astype(np.float32) / np.float32(255)).all()


@pytest.mark.parametrize("content", [b"", b"hello", None], ids=["empty", "text", "truncated"])
def test_an_image_that_cannot_be_decoded_is_named(tmp_path, workers, content):
    images = noise(tmp_path)
    path = tmp_path / "3.png"
    path.write_bytes(path.read_bytes()[:300] if content is None else content)
    batches = stream(images, batch_size=6)
    with pytest.raises(UserError) as error:
        batches.at(0)
    assert str(path) in error.value.message and "Traceback" not in error.value.message


@pytest.mark.parametrize(
    ("settings", "word"),
    [({"size": 0}, "size"), ({"size": 9, "resize": 8}, "resize"), ({"mean": (0.5,)}, "mean"),
     ({"std": (1, 1, 0)}, "std")],
)  # fmt: skip
def test_impossible_settings_are_refused(settings, word):
    with pytest.raises(UserError) as error:
        ImageNetPipeline(**settings)
    assert error.value.binding == f"ImageNetPipeline.{word}"


# --- from the disk --------------------------------------------------------------------------------


def jpeg(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG")
    return buffer.getvalue()


def write_jpegs(folder: Path, classes: int, train: int = 12) -> None:
    """JPEGs of every size and mode; a class is a colour."""
    for split, count in (("train", train), ("val", 3)):
        for c in range(classes):
            (folder / split / f"class{c:02}").mkdir(parents=True)
            for i in range(count):
                image = picture((3 * c) % COUNT, ("RGB", "L", "CMYK")[i % 3])
                image = image.resize((15 + 3 * i, 40 - i))
                (folder / split / f"class{c:02}/{i}.JPEG").write_bytes(jpeg(image))


@pytest.fixture
def root(tmp_path, monkeypatch):
    return data_root(tmp_path, monkeypatch)


def test_a_folder_of_any_sizes_and_modes_is_found_and_not_decoded(root):
    write_jpegs(root / "odd", 2)
    found = datasets.load_encoded("odd")
    assert found.classes == ("class00", "class01")
    assert found.train.labels.tolist() == [0] * 12 + [1] * 12 and len(found.test) == 6
    assert {len(x) for x, _ in streamed_plain(found.train, PIPELINE, 24, "cpu")} == {24}
    before = found.sha256
    (root / "odd").rename(root / "copy")
    assert datasets.load_encoded("copy").sha256 == before
    (root / "copy/train/class00/0.JPEG").write_bytes(jpeg(picture(9)))
    assert datasets.load_encoded("copy").sha256 != before


def test_parquet_files_are_packed_once_and_read_by_row(root, tmp_path):
    write = [jpeg(picture(i, ("RGB", "L", "CMYK")[i % 3])) for i in range(6)]
    write_parquet(root / "hub/train-00000-of-00002.parquet", write[:3], [0, 1, 2])
    write_parquet(root / "hub/train-00001-of-00002.parquet", write[3:5], [2, 0])
    write_parquet(root / "hub/test.parquet", write[5:], [1])
    for _ in range(2):
        found = datasets.load_encoded("hub")
        assert [found.train.places.at(i).content for i in range(5)] == write[:5]
        assert found.test.places.at(0).content == write[5] and found.train.labels[4] == 0
    assert len(list((tmp_path / "cache").glob("*.encoded"))) == 2
    assert found.train[np.array([4, 1])].places.at(0).content == write[4]


@pytest.mark.parametrize(
    ("labels", "words"),
    [([0, 1, 3], ["row 2", "label 3"]), ([0, 1, None], ["whole numbers"])],
)
def test_faults_of_parquet_labels_are_named(root, labels, words):
    write_parquet(root / "hub/train.parquet", [jpeg(picture(0))] * 3, labels)
    write_parquet(root / "hub/test.parquet", [jpeg(picture(0))], [0])
    with pytest.raises(UserError) as error:
        datasets.load_encoded("hub")
    assert all(word in error.value.message for word in words)


def test_a_damaged_parquet_file_is_named(root):
    write_parquet(root / "hub/train.parquet", [jpeg(picture(0))] * 3, [0, 1, 2])
    (root / "hub/test.parquet").write_bytes(b"PAR1")
    with pytest.raises(UserError, match=r"test\.parquet is corrupt or half downloaded"):
        datasets.load_encoded("hub")


def test_embedded_digits_have_nothing_to_crop_from():
    with pytest.raises(UserError, match="@Pipeline"):
        datasets.load_encoded("digits")


@pytest.mark.slow
def test_the_imagenet_recipe_trains_on_a_folder(root, tmp_path, call):
    write_jpegs(root / "odd", 12)
    argv = (
        "run", "methods/east_no_cycle.gin", "--recipe", "imagenet_resnet50", "--dataset",
        str(root / "odd"), "--sparsity", "0.8", "--set", "ImageNetResNet50.width=4", "--set",
        "Run.epochs=1", "--set", "RigL.update_interval=3", "--set", "Run.batch_size=12", "--set",
        "precision='fp32'", "--set", "ImageNetPipeline.size=32", "--set",
        "ImageNetPipeline.resize=36", "--tracking", "off", "--device", "cpu", "--runs",
    )  # fmt: skip
    networks = []
    for runs in (tmp_path / "one", tmp_path / "other"):
        code, output, errors = call(*argv, str(runs))
        assert code == 0, errors
        assert "test accuracy" in output
        (folder,) = runs.iterdir()
        accuracy = json.loads((folder / "record.json").read_text())["accuracy"]
        assert accuracy["test_final"] <= accuracy["test_final_top5"] <= 100
        networks.append(torch.load(folder / "network.pt", weights_only=True))
    one, other = (n["network"]["live"]["stem.conv1.weight"][1] for n in networks)
    assert torch.equal(one, other) and networks[0]["image_shape"] == [3, 32, 32]
