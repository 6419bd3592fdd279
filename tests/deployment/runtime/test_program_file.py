"""`network.dst`: programs survive a file, and damaged or foreign files are refused clearly."""

import json
from dataclasses import fields, replace

import numpy as np
import pytest
from helpers.deploy_networks import IMAGE, random_net
from hypothesis import given
from hypothesis import strategies as st

from dstbench.deployment import load
from dstbench.deployment.compiler.compile import compile_network
from dstbench.deployment.runtime.program_file import read, write_bytes
from dstbench.errors import UserError

ABOUT = {"classes": ["a", "b", "c"], "mean": [0.5, 0.4, 0.3], "std": [0.2, 0.3, 0.4]}


@pytest.fixture(scope="module")
def content():
    return write_bytes(compile_network(random_net(5), IMAGE, ABOUT))


@pytest.mark.parametrize("seed", range(3))
def test_program_survives_a_file(tmp_path, seed):
    program = compile_network(random_net(seed), IMAGE, ABOUT)
    (tmp_path / "network.dst").write_bytes(write_bytes(program))
    loaded = read(tmp_path / "network.dst")
    for field in fields(program):
        written, found = getattr(program, field.name), getattr(loaded, field.name)
        if field.name == "constants":
            assert len(written) == len(found)
            assert all(np.array_equal(a, b) for a, b in zip(written, found, strict=True))
        else:
            assert np.array_equal(written, found), field.name


@given(data=st.data())
def test_damaged_file_is_refused_in_one_line(content, data, tmp_path_factory):
    damage = data.draw(st.sampled_from(["cut", "flip"]))
    at = data.draw(st.integers(0, len(content) - 1))
    broken = bytearray(content[:at] if damage == "cut" else content)
    if damage == "flip":
        broken[at] ^= data.draw(st.integers(1, 255))
    path = tmp_path_factory.mktemp("broken") / "network.dst"
    path.write_bytes(bytes(broken))
    try:
        network = load(path)
    except UserError as error:
        assert str(path) in error.message
        assert "\n" not in error.message
    else:  # the flipped byte is another way to write the same header
        assert write_bytes(network._program) == content


def test_files_of_other_formats_and_newer_versions_are_refused(content, tmp_path):
    path = tmp_path / "network.dst"
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])

    def rewritten(metadata):
        text = json.dumps({**header, "__metadata__": metadata}).encode()
        path.write_bytes(len(text).to_bytes(8, "little") + text + content[8 + length :])

    known = header["__metadata__"]
    rewritten(known | {"version": "2"})
    with pytest.raises(UserError, match="version 2; this dstbench reads up to 1"):
        load(path)
    rewritten(known | {"about": known["about"].replace("0.5", "0.6")})
    with pytest.raises(UserError, match="does not match its checksum"):
        load(path)
    for other in (known | {"format": "other"}, 5, None, []):
        rewritten(other)
        with pytest.raises(UserError, match="is not a network that dstbench compiled"):
            load(path)
    nested = b"[" * 100_000
    path.write_bytes(len(nested).to_bytes(8, "little") + nested)
    with pytest.raises(UserError, match="is not a network that dstbench compiled"):
        load(path)
    path.write_bytes(b"PK\x03\x04 not a network at all")
    with pytest.raises(UserError, match="is not a network that dstbench compiled"):
        load(path)
    with pytest.raises(UserError, match="cannot be read"):
        load(tmp_path / "nowhere.dst")


@pytest.mark.parametrize(
    "part, value",
    [
        ("image_shape", (3, 9)),
        ("image_shape", (3, 9, 0)),
        ("image_shape", (3, 9, 8)),
        ("image_shape", (2, 9, 7)),
        ("classes", 2),
        ("about", []),
        ("about", {"classes": ["a"]}),
        ("about", {"mean": [0.5]}),
        ("about", {"std": [0.5]}),
    ],
)
def test_program_whose_parts_do_not_fit_is_refused(content, tmp_path, part, value):
    path = tmp_path / "network.dst"
    path.write_bytes(content)
    program = read(path)
    path.write_bytes(write_bytes(replace(program, **{part: value})))
    with pytest.raises(UserError, match=r"network\.dst: is not a (valid|complete) network"):
        load(path)
