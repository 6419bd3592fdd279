"""The loaders of a run: shards of processes, and what each set of images is."""

import numpy as np
import pytest
import torch

from dstbench.data.images import Dataset, Images
from dstbench.data.loaders import DataLoaders
from dstbench.data.preprocessing import Pipeline
from dstbench.data.protocols import PROTOCOLS
from dstbench.errors import UserError

CPU = torch.device("cpu")


def images(count, seed):
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 256, (count, 6, 6, 3), dtype=np.uint8)
    return Images(pixels, rng.integers(0, 2, count, dtype=np.int64))


def loaders(shard=lambda n: slice(0, n), protocol="strict", classes=("a", "b")):
    dataset = Dataset("made", images(50, 0), images(9, 1), classes, "0")
    return DataLoaders(
        dataset, Pipeline(pad=1), PROTOCOLS[protocol], batch_size=8, seed=0, device=CPU, shard=shard
    )


def joined(batches):
    x, y = zip(*batches, strict=True)
    return torch.cat(x), torch.cat(y)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_shards_of_two_processes_make_the_whole(protocol):
    whole = loaders(protocol=protocol)
    parts = [
        loaders(lambda n, r=rank: slice(n * r // 2, n * (r + 1) // 2), protocol) for rank in (0, 1)
    ]
    for of in (lambda each: each.test(), lambda each: each.validation(1)):
        x, y = joined([batch for part in parts for batch in of(part)])
        expected = joined(of(whole))
        assert torch.equal(x, expected[0]) and torch.equal(y, expected[1])
    assert torch.equal(
        torch.cat([part.training.at(7)[1] for part in parts]), whole.training.at(7)[1]
    )


def test_health_batch_holds_the_same_training_images_in_every_process():
    x, y = loaders().health_batch()
    other, _ = loaders(lambda n: slice(0, n // 2)).health_batch()
    assert x.shape == (45, 3, 6, 6) and len(y) == 45 and torch.equal(x, other)


def test_dataset_of_one_class_is_refused():
    with pytest.raises(UserError, match="has one class, a"):
        loaders(classes=("a",))


def test_init_batches_are_whole_the_same_in_every_process_and_not_those_that_train():
    made = loaders()
    (first, labels), (second, _) = (next(batches) for batches in [made.init_batches()] * 2)
    again = next(loaders(lambda n: slice(0, n // 2)).init_batches())
    assert first.shape == (8, 3, 6, 6) and labels.shape == (8,)
    assert torch.equal(first, again[0]) and torch.equal(labels, again[1])
    assert not torch.equal(first, second)
    assert not any(torch.equal(first, made.training.at(step)[0]) for step in range(6))
