"""Sources of runs that cannot be used are one message; stores are found under every name."""

import pytest
from helpers.lab import write_run_folder
from helpers.record_factory import make_record

from dstbench.boards.run_sources import run_folders
from dstbench.errors import UserError
from dstbench.tracking import store
from dstbench.tracking.store_uri import address_of


def test_run_folders_are_found_below_a_folder_by_path(tmp_path):
    made = [write_run_folder(tmp_path / "a" / "b", make_record(seed=seed)) for seed in (1, 0)]
    assert run_folders(str(tmp_path), tmp_path / "into") == sorted(made)


@pytest.mark.parametrize("source, message", [("none", "no such folder"), (".", "contains no runs")])
def test_source_without_runs_is_refused(tmp_path, monkeypatch, source, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=message):
        run_folders(source, tmp_path / "into")


@pytest.mark.parametrize("name", ["plain", "a#b", "a?b", "50%"])
def test_store_is_looked_for_at_its_unquoted_path(tmp_path, monkeypatch, name):
    def opened(uri):
        raise UserError("opened")

    monkeypatch.setattr(store, "open_store", opened)
    (tmp_path / name).mkdir()
    database = tmp_path / name / "store.db"
    with pytest.raises(UserError, match="no such database"):
        run_folders(address_of(database), tmp_path / "into")
    database.touch()
    with pytest.raises(UserError, match="opened"):
        run_folders(address_of(database), tmp_path / "into")
