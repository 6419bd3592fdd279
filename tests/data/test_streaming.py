"""Streamed batches: a function of (seed, step), whichever process decodes."""

import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from helpers.disk_datasets import colour_image, data_root, png, write_jpegs
from PIL import Image

from dstbench.data import streaming
from dstbench.data.batch_plan import whole_range
from dstbench.data.preprocessing import ImageNetPipeline
from dstbench.data.sources.encoded import EncodedImages, ImageFiles
from dstbench.data.streaming import StreamingBatches, streamed_in_order
from dstbench.errors import UserError
from dstbench.training.distributed.process_group import ProcessGroup

PIPELINE = ImageNetPipeline(size=6, resize=10, mean=(0, 0, 0), std=(1, 1, 1)).fitted(None)
COUNT = 11


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """Eleven images, labelled by their number."""
    folder = tmp_path_factory.mktemp("images")
    for i in range(COUNT):
        colour_image(i).save(folder / f"{i}.png")
    names = np.array([f"{i}.png".encode() for i in range(COUNT)])
    return EncodedImages(ImageFiles(folder, names), np.arange(COUNT))


@pytest.fixture(params=[0, 2], ids=["no workers", "two workers"])
def workers(request, monkeypatch):
    monkeypatch.setattr(streaming, "decoding_workers", lambda: request.param)


def stream(images, batch_size=4, seed=0, shard=whole_range, indices=None):
    return StreamingBatches(images, PIPELINE, batch_size, seed, "cpu", indices, shard)


def test_streamed_epoch_has_every_image_once_with_its_label(images, workers):
    batches = stream(images)
    assert batches.plan.steps_per_epoch == 3
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
    """Images of noise, of which every crop is different."""
    rng = np.random.default_rng(0)
    for i in range(count):
        pixels = rng.integers(0, 256, (20 + i, 17, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{i}.png")
    names = np.array([f"{i}.png".encode() for i in range(count)])
    return EncodedImages(ImageFiles(tmp_path, names), np.arange(count))


def test_streamed_batch_is_a_function_of_seed_and_step(tmp_path, workers, monkeypatch):
    images = noise(tmp_path)
    in_sequence = stream(images)
    expected = [in_sequence.at(step) for step in range(6)]
    jumping = stream(images)
    monkeypatch.setattr(streaming, "decoding_workers", lambda: 1)
    for step in (3, 0, 1, 5):
        x, y = jumping.at(step)
        assert torch.equal(x, expected[step][0]) and torch.equal(y, expected[step][1])
    other = stream(images, seed=1).at(0)
    assert not torch.equal(other[0], expected[0][0])


def test_streamed_crops_differ_between_epochs(tmp_path):
    batches = stream(noise(tmp_path, 1), batch_size=1)
    crops = {batches.at(step)[0].numpy().tobytes() for step in range(20)}
    assert len(crops) == 20


def test_streaming_leaves_global_rng_unchanged(images):
    before = torch.get_rng_state()
    streaming._Crops(images, PIPELINE, 0, stream(images).plan)[0]
    assert torch.equal(torch.get_rng_state(), before)


def test_streamed_shards_together_are_the_whole_batch(tmp_path):
    images = noise(tmp_path)
    x, y = stream(images).at(1)
    shards = [stream(images, shard=ProcessGroup(rank, 2).shard).at(1) for rank in range(2)]
    assert torch.equal(torch.cat([s[0] for s in shards]), x)
    assert torch.equal(torch.cat([s[1] for s in shards]), y)


def test_streamed_batches_use_given_indices_only(images):
    _, y = stream(images, indices=np.array([7, 2, 9])).at(0)
    assert sorted(y.tolist()) == [2, 7, 9]


def test_streamed_in_order_yields_centres_in_order(tmp_path, workers):
    pixels = np.random.default_rng(0).integers(0, 256, (3, 10, 10, 3), dtype=np.uint8)
    for i, image in enumerate(pixels):
        (tmp_path / f"{i}.png").write_bytes(png(image))
    names = np.array([b"0.png", b"1.png", b"2.png"])
    images = EncodedImages(ImageFiles(tmp_path, names), np.array([5, 6, 7]))
    made = list(streamed_in_order(images, PIPELINE, 2, "cpu"))
    assert [y.tolist() for _, y in made] == [[5, 6], [7]]
    x = torch.cat([x for x, _ in made]).permute(0, 2, 3, 1).numpy()
    assert (x == pixels[:, 2:8, 2:8].astype(np.float32) / np.float32(255)).all()


@pytest.mark.parametrize("content", [b"", b"hello", None], ids=["empty", "text", "truncated"])
def test_streaming_names_an_image_that_cannot_be_decoded(tmp_path, workers, content):
    images = noise(tmp_path)
    path = tmp_path / "3.png"
    path.write_bytes(path.read_bytes()[:300] if content is None else content)
    batches = stream(images, batch_size=6)
    with pytest.raises(UserError) as error:
        batches.at(0)
    assert str(path) in error.value.message and "Traceback" not in error.value.message


def test_torch_has_prctl_pr_set_pdeathsig():
    """A private function of torch that ends the workers with the training process."""
    assert callable(getattr(torch.multiprocessing, "_prctl_pr_set_pdeathsig", None))


STREAM_AND_EXIT = """
import sys
from pathlib import Path
import numpy as np
from dstbench.data.preprocessing import ImageNetPipeline
from dstbench.data.sources.encoded import EncodedImages, ImageFiles
from dstbench.data.streaming import StreamingBatches

files = ImageFiles(Path(sys.argv[1]), np.array([b"0.png"] * 9))
pipeline = ImageNetPipeline(size=6, resize=10).fitted(None)
batches = StreamingBatches(EncodedImages(files, np.arange(9)), pipeline, 2, 0, "cpu")
batches.at(0)
"""


@pytest.mark.slow
def test_streaming_workers_end_with_the_interpreter(tmp_path):
    noise(tmp_path, 1)
    subprocess.run([sys.executable, "-c", STREAM_AND_EXIT, str(tmp_path)], check=True, timeout=300)


@pytest.mark.slow
def test_imagenet_recipe_trains_on_an_image_folder(tmp_path, monkeypatch, call):
    root = data_root(tmp_path, monkeypatch)
    write_jpegs(root / "odd", 12)
    argv = ["run", "methods/east_no_cycle.gin", "--recipe", "imagenet_resnet50"]
    argv += ["--dataset", str(root / "odd"), "--sparsity", "0.8"]
    argv += ["--tracking", "off", "--device", "cpu"]
    for setting in (
        "ImageNetResNet50.width=4",
        "Run.epochs=1",
        "RigL.update_interval=3",
        "Run.batch_size=12",
        "precision='fp32'",
        "ImageNetPipeline.size=32",
        "ImageNetPipeline.resize=36",
    ):
        argv += ["--set", setting]
    networks = []
    for runs in (tmp_path / "one", tmp_path / "other"):
        code, output, errors = call(*argv, "--runs", str(runs))
        assert code == 0, errors
        assert "test accuracy" in output
        (folder,) = runs.iterdir()
        accuracy = json.loads((folder / "record.json").read_text())["accuracy"]
        assert accuracy["test_final"] <= accuracy["test_final_top5"] <= 100
        networks.append(torch.load(folder / "network.pt", weights_only=True))
    one, other = (n["network"]["live"]["stem.conv1.weight"][1] for n in networks)
    assert torch.equal(one, other) and networks[0]["image_shape"] == [3, 32, 32]
