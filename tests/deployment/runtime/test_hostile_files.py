"""Files, with right checksums, that would fill the memory, run for hours or write to a terminal."""

import json
import os
import time
import tracemalloc

import numpy as np
import pytest
from helpers.guarded_networks import accepted
from helpers.handmade_networks import LINEAR, MAXIMUM, SAMPLE, Operation, handmade, mean_of
from hypothesis import given
from hypothesis import strategies as st

from dstbench.deployment import load
from dstbench.deployment.runtime.memory_plan import MAX_FLOATS
from dstbench.errors import UserError
from dstbench.utils.safetensors_bytes import checksum

SMALL = (1, 4, 4)
IDENTITY = Operation(LINEAR, (4, 4), [(0, (0, 0))])


def many_terms():
    """A sum of 40,000 terms over a plane of 4096 × 4096."""
    terms = [(1, (0, 0))] * 40_000
    total = Operation(LINEAR, (4096, 4096), terms)
    return handmade(SMALL, [total, mean_of(2)], planes=[(4096, 4096)])


def wide_borders():
    """2,000 sums of one pixel each, which shifts surround with six million zeros."""
    chain = [Operation(LINEAR, (1, 1), [(n, (2500, 0))]) for n in range(2000)]
    return handmade((1, 1, 1), chain)


def large_windows():
    """A maximum of windows of 8192 × 8192 at each of 4096 × 4096 places."""
    window = Operation(MAXIMUM, (4096, 4096), [(1, (0, 0))], (0, 0), (1, 1), (8192, 8192))
    return handmade(SMALL, [window, mean_of(2)], planes=[(8192, 8192)])


def many_means():
    """5,000 means of a plane of 8192 × 4096; each is one number."""
    return handmade(SMALL, [mean_of(1)] * 5000, planes=[(8192, 4096)])


TOO_MUCH_WORK = [many_terms, wide_borders, large_windows, many_means]


def one_distinct_column():
    """A plane one pixel wide, the last of a million distinct columns, and 32,768 pixels high."""
    return handmade(
        SMALL,
        [IDENTITY, mean_of(0)],
        planes=[(2**15, 1)],
        planes__columns=np.array([999_999], np.uint32),
        planes__numbers=np.ones(1_000_000, np.float32),
    )


def large_planes():
    """Forty planes of 2000 × 2000, none of whose memory can be reused."""
    planes = [Operation(LINEAR, (2000, 2000), [(1 + n, (0, 0))]) for n in range(40)]
    total = Operation(LINEAR, (2000, 2000), [(2 + n, (0, 0)) for n in range(40)])
    return handmade(SMALL, [*planes, total, mean_of(42)], planes=[(2000, 2000)])


def written(tmp_path, content):
    path = tmp_path / "network.dst"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("make", TOO_MUCH_WORK)
def test_file_that_would_run_for_hours_is_refused_at_once(tmp_path, make):
    path = written(tmp_path, make())
    assert path.stat().st_size < 2**20
    start = time.process_time()
    with pytest.raises(UserError, match=r"an image takes \d.* at most 2e\+10 are run"):
        load(path)
    assert time.process_time() - start < 10


@pytest.mark.parametrize(
    "make, message",
    [
        (one_distinct_column, "its constant planes are not complete"),
        (large_planes, r"it needs 0\.\d* GiB of memory"),
    ],
)
def test_file_that_would_fill_the_memory_is_refused_without_filling_it(tmp_path, make, message):
    path = written(tmp_path, make())
    tracemalloc.start()
    with pytest.raises(UserError, match=message):
        load(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**26


def test_threads_have_no_more_memory_together_than_a_block_may(tmp_path):
    large = Operation(LINEAR, (3000, 3000), [(1, (0, 0))])
    content = handmade(SMALL, [large, mean_of(2)], planes=[(3000, 3000)])
    network = load(written(tmp_path, content), threads=10_000)
    assert network.threads == MAX_FLOATS // network._several.plan.size


def test_small_constant_plane_beside_a_large_image_is_run(tmp_path):
    """Its place near the end of the memory has room for it, not for an image."""
    empty = Operation(LINEAR, (1, 5), [])
    content = handmade((1, 16, 33), [empty, mean_of(2)], planes=[(1, 5)])
    network = load(written(tmp_path, content), threads=1)
    assert network(np.zeros((3, 1, 16, 33), np.float32)).tolist() == [[-0.25]] * 3  # its clip


def test_file_without_end_is_refused(monkeypatch):
    monkeypatch.setattr("dstbench.deployment.runtime.program_file.MAX_BYTES", 2**20)
    if not os.path.exists("/dev/zero"):
        pytest.skip("needs /dev/zero")
    with pytest.raises(UserError, match="larger than 1 MiB"):
        load("/dev/zero")


@pytest.mark.parametrize(
    "kind, size, first, step, window",
    [
        (MAXIMUM, (4, 4), (2, 0), (1, 1), (2, 2)),  # the first window is in the padding
        (MAXIMUM, (5, 4), (0, 0), (1, 1), (2, 2)),  # the last one begins after the plane
        (MAXIMUM, (2, 2), (0, 0), (2**15, 1), (1, 1)),
        (SAMPLE, (2**15, 1), (0, 0), (2**15, 1), (1, 1)),
        (SAMPLE, (1, 1), (-(2**15), -(2**15)), (1, 1), (1, 1)),
    ],
)
def test_windows_and_samples_far_outside_a_plane_are_refused(
    tmp_path, kind, size, first, step, window
):
    operation = Operation(kind, size, [(0, (0, 0))], first, step, window)
    with pytest.raises(UserError, match=r"a window is outside|too much memory"):
        load(written(tmp_path, handmade(SMALL, [operation, mean_of(1)])))


@pytest.mark.parametrize(
    "about",
    [
        {"classes": [1]},
        {"classes": ["a", "b"]},
        {"classes": "a"},
        {"mean": [0.5], "std": [0]},
        {"mean": [0.5], "std": [1e-320]},
        {"mean": [1e30], "std": [0.5]},
        {"mean": [0.5, 0.5], "std": [0.5]},
        {"mean": [None], "std": [0.5]},
        {"mean": [True], "std": [0.5]},
        {"seed": "1"},
        {"method": ["rigl"]},
        {"accuracy": "high"},
        {"image_shape": [1, 4, 5]},
        {"method": "x" * 10_000, "seed": "y" * 10_000},
        '{"sparsity": 1e999}',
        '{"accuracy": NaN}',
        '{"commit": "\\ud800"}',
        '{"method": ' + "[" * 600 + "]" * 600 + "}",
        '{"seed": ' + "9" * 5000 + "}",
        "[" * 100_000,
        "",
    ],
    ids=lambda about: str(about)[:30],
)
def test_description_of_other_types_is_refused_in_one_short_line(tmp_path, about):
    path = written(tmp_path, handmade(SMALL, [IDENTITY, mean_of(1)], about=about))
    with pytest.raises(UserError) as error:
        load(path)
    assert error.value.message.isprintable()
    assert len(error.value.message) < len(str(path)) + 200


def test_control_characters_of_a_description_are_written_out(tmp_path):
    about = {"classes": ["\x1b[31m猫\n"], "method": "\x9b2J", "unknown": "\x1b", "commit": None}
    network = load(written(tmp_path, handmade(SMALL, [IDENTITY, mean_of(1)], about=about)))
    assert network.classes == ["\\x1b[31m猫\\n"]
    assert network.about == {"classes": network.classes, "method": "\\x9b2J", "commit": None}


@pytest.mark.parametrize(
    "change",
    [
        {"dtype": "\x1b" * 10_000},
        {"dtype": ["U8"]},
        {"shape": [10**4000]},
        {"shape": [2.0]},
        {"shape": [True, True]},
        {"data_offsets": [0, 10**4000]},
        {"data_offsets": [2, 0]},
        {"data_offsets": [-1, 1]},
        {"data_offsets": [0, 2, 4]},
    ],
    ids=str,
)
def test_header_of_wrong_types_and_places_is_refused_in_one_short_line(tmp_path, change):
    content = handmade(SMALL, [IDENTITY, mean_of(1)])
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    header["kind"] |= change
    header["__metadata__"]["sha256"] = checksum(header, content[8 + length :])
    text = json.dumps(header).encode()
    path = written(tmp_path, len(text).to_bytes(8, "little") + text + content[8 + length :])
    with pytest.raises(UserError, match=r"is not a valid network: kind has|is not inside") as error:
        load(path)
    assert error.value.message.isprintable()
    assert len(error.value.message) < len(str(path)) + 200


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=9,
)


@given(data=st.data())
def test_any_value_in_a_header_or_description_is_refused_in_one_line_or_sound(
    data, tmp_path_factory
):
    about = {"classes": ["a"], "mean": [0.5], "std": [0.5], "seed": 1, "method": "x"}
    content = handmade(SMALL, [IDENTITY, mean_of(1)], planes=[(2, 3)], about=about)
    length = int.from_bytes(content[:8], "little")
    header, body = json.loads(content[8 : 8 + length]), content[8 + length :]
    described = header["__metadata__"]
    parts = {name: json.loads(described[name]) for name in ("program", "about")}
    tensors = {name: header[name] for name in header if name != "__metadata__"}
    where = data.draw(st.sampled_from([header, described, *parts.values(), *tensors.values()]))
    key = data.draw(st.sampled_from(sorted(where)) | st.text(max_size=9))
    where[key] = data.draw(JSON)
    if where in parts.values():
        described |= {name: json.dumps(part) for name, part in parts.items()}
    if isinstance(header["__metadata__"], dict):
        described["sha256"] = checksum(header, body)
    text = json.dumps(header).encode()
    path = tmp_path_factory.mktemp("any") / "network.dst"
    path.write_bytes(len(text).to_bytes(8, "little") + text + body)
    accepted(path)


def test_last_of_two_equal_keys_counts_everywhere(tmp_path):
    shape = json.dumps({"image_shape": [1, 4, 4], "classes": 1, "planes": []})
    twice = shape[:-1] + ', "image_shape": [1, 9, 9]}'
    for order, shown in ((twice, (1, 9, 9)), (shape, SMALL)):
        image = Operation(LINEAR, shown[1:], [(0, (0, 0))])
        content = handmade(SMALL, [image, mean_of(1)], metadata={"program": order})
        assert load(written(tmp_path, content)).image_shape == shown
