"""A deployment does not overwrite what is not its own."""

import pytest

from dstbench.deployment.written_files import write_files
from dstbench.errors import UserError


def test_readme_of_something_else_is_kept(tmp_path):
    (tmp_path / "README.md").write_text("mine")
    with pytest.raises(UserError, match="would be overwritten"):
        write_files({}, {}, {"network.dst": b""}, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["README.md"]
    assert (tmp_path / "README.md").read_text() == "mine"
