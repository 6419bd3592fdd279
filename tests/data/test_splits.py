"""Train/validation splits of every protocol."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dstbench.data.images import Dataset, Images
from dstbench.data.protocols import PROTOCOLS
from dstbench.data.splits import split
from dstbench.errors import UserError


def dataset(count: int, name: str = "any", labels: np.ndarray | None = None) -> Dataset:
    """Images whose pixels encode their index."""

    def images(n: int, first: int) -> Images:
        pixels = np.zeros((n, 1, 1, 3), dtype=np.uint8)
        index = np.arange(first, first + n)
        pixels[:, 0, 0, 0], pixels[:, 0, 0, 1] = index % 256, index // 256
        return Images(pixels, index % 10)

    train = images(count, 0)
    if labels is not None:
        train = Images(train.pixels, labels)
    return Dataset(name, train, images(7, 30000), tuple("0123456789"), "sha")


def indices(images: Images) -> list[int]:
    """The indices that `dataset` encoded."""
    low, high, _ = images.pixels[:, 0, 0].astype(int).T
    return (low + 256 * high).tolist()


@given(st.integers(10, 2000), st.integers(0, 2**32), st.sampled_from(["strict", "paper"]))
def test_random_split_partitions_the_training_images(count, seed, name):
    made = split(dataset(count), PROTOCOLS[name].divide, seed)
    held_out = indices(made.val)
    assert len(held_out) == count // 10
    assert sorted([*made.train.tolist(), *held_out]) == list(range(count))
    assert (made.val.labels == np.array(held_out) % 10).all()
    assert not made.val_augmented and not made.selected_on_test


def test_cifar_splits_into_45000_and_5000():
    for name in ("strict", "paper", "itop_compat"):
        made = split(dataset(50_000), PROTOCOLS[name].divide, 0)
        assert (len(made.train), len(made.val)) == (45_000, 5_000)


def test_split_depends_on_split_seed_only():
    one, same, other = (
        split(dataset(500), PROTOCOLS[name].divide, seed)
        for name, seed in (("strict", 3), ("paper", 3), ("strict", 4))
    )
    assert one.train.tolist() == same.train.tolist() != other.train.tolist()
    assert indices(one.val) == indices(same.val) != indices(other.val)


def test_random_split_holds_out_every_image_equally_often():
    data = dataset(100)
    held = np.zeros(100)
    for seed in range(1000):
        held[indices(split(data, PROTOCOLS["strict"].divide, seed).val)] += 1
    assert held.min() >= 55 and held.max() <= 150  # 100 ± 9.5 each: 4.7 and 5.3 deviations


def test_itop_split_validates_on_the_augmented_last_tenth():
    made = split(dataset(1005), PROTOCOLS["itop_compat"].divide, 7)
    assert made.train.tolist() == list(range(905))
    assert indices(made.val) == list(range(905, 1005))
    assert made.val_augmented and not made.selected_on_test


def test_itop_split_of_cifar100_selects_on_test():
    data = dataset(100, "cifar100")
    made = split(data, PROTOCOLS["itop_compat"].divide, 7)
    assert made.train.tolist() == list(range(100))
    assert made.val is data.test
    assert made.selected_on_test and not made.val_augmented
    assert not split(data, PROTOCOLS["paper"].divide, 7).selected_on_test


def test_itop_split_refuses_images_sorted_by_class():
    data = dataset(100, labels=np.repeat(np.arange(10), 10))
    with pytest.raises(UserError, match="sorted by class"):
        split(data, PROTOCOLS["itop_compat"].divide, 0)


@given(st.sampled_from(sorted(PROTOCOLS)), st.integers(0, 99), st.integers(1, 88))
def test_train_images_subsets_are_nested_and_keep_validation(name, seed, size):
    data, divide = dataset(100), PROTOCOLS[name].divide
    whole = split(data, divide, seed)
    smaller, larger = (split(data, divide, seed, n) for n in (size, size + 1))
    assert len(smaller.train) == size and len(set(smaller.train.tolist())) == size
    assert smaller.train.tolist() == larger.train.tolist()[:size]
    assert set(larger.train.tolist()) <= set(whole.train.tolist())
    assert indices(smaller.val) == indices(whole.val)


def test_train_images_subset_of_itop_split_is_random():
    chosen = split(dataset(1000), PROTOCOLS["itop_compat"].divide, 0, 100).train
    assert chosen.max() > 500 and chosen.min() < 400


@pytest.mark.parametrize("size", [0, -1, 91])
def test_invalid_train_images_are_refused(size):
    with pytest.raises(UserError, match="90 training images"):
        split(dataset(100), PROTOCOLS["strict"].divide, 0, size)


def test_split_refuses_fewer_than_ten_images():
    with pytest.raises(UserError, match="9 training images"):
        split(dataset(9), PROTOCOLS["strict"].divide, 0)


def test_all_images_trains_on_every_image_and_selects_nothing():
    data = dataset(7)
    made = split(data, PROTOCOLS["all_images"].divide, 3)
    assert made.train.tolist() == list(range(7))
    assert made.val is data.test and not made.val_augmented and not made.selected_on_test
