"""The network that a record carries: small inside it, large beside it, checked by its hash."""

import pytest

from dstbench.errors import UserError
from dstbench.recording.stored_network import INLINE_BYTES, read_network, stored_network


def test_small_network_is_in_the_record_and_needs_no_file():
    stored = stored_network(b"weights", "network.safetensors")
    assert "file" not in stored and read_network(stored, []) == b"weights"


def test_large_network_is_read_from_the_first_file_that_exists(tmp_path):
    content = bytes(INLINE_BYTES + 1)
    stored = stored_network(content, "network.safetensors")
    assert "data" not in stored and stored["file"] == "network.safetensors"
    (tmp_path / "second").write_bytes(content)
    assert read_network(stored, [tmp_path / "first", tmp_path / "second"]) == content
    with pytest.raises(UserError, match=r"file is missing: .*first"):
        read_network(stored, [tmp_path / "first"])


@pytest.mark.parametrize("change", [b"longer", b""])
def test_changed_network_file_is_refused(tmp_path, change):
    content = bytes(INLINE_BYTES + 1)
    stored = stored_network(content, "network.safetensors")
    (tmp_path / "one").write_bytes(b"\1" + content[1:] + change)
    with pytest.raises(UserError, match="sha256" if not change else "bytes"):
        read_network(stored, [tmp_path / "one"])


@pytest.mark.parametrize("change", [{"data": "?"}, {"data": 3}, {"data": "QUJD"}, {"bytes": 6}])
def test_changed_network_in_the_record_is_refused(change):
    with pytest.raises(UserError):
        read_network(stored_network(b"weights", "") | change, [])
