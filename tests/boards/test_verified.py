"""verified.json: what another process noted meanwhile stays."""

import multiprocessing

import pytest
from helpers.lab import write_records
from helpers.record_factory import make_record

from dstbench.boards import verified
from dstbench.boards.verified import VERIFIED, changing_verified, read_verified
from dstbench.errors import UserError
from dstbench.utils.files import sha256_of


def entry(name):
    return {"record": name, "recomputed": ["network"], "version": "1", "commit": None}


def note(folder, names):
    for name in names:
        with changing_verified(folder) as entries:
            entries[sha256_of(folder / "records" / f"{name}.json")] = entry(name)


def test_two_processes_keep_each_others_entries(tmp_path):
    names = write_records(tmp_path, *(make_record(seed=seed) for seed in range(12)))
    context = multiprocessing.get_context("fork")
    each = [context.Process(target=note, args=(tmp_path, names[i::2])) for i in range(2)]
    for process in each:
        process.start()
    for process in each:
        process.join(60)
    assert sorted(one["record"] for one in read_verified(tmp_path).values()) == sorted(names)


def test_entries_of_records_that_are_gone_are_dropped(tmp_path):
    with changing_verified(tmp_path) as entries:
        entries["0" * 64] = entry("gone")
    assert read_verified(tmp_path) == {}


def test_a_fault_meanwhile_changes_nothing(tmp_path):
    (name,) = write_records(tmp_path, make_record())
    with pytest.raises(KeyError), changing_verified(tmp_path) as entries:
        entries[sha256_of(tmp_path / "records" / f"{name}.json")] = entry(name)
        raise KeyError
    assert not (tmp_path / VERIFIED).exists()


def test_a_process_that_does_not_end_is_one_message(tmp_path, monkeypatch):
    monkeypatch.setattr(verified, "_LOCK_S", 0)
    with (
        changing_verified(tmp_path),
        pytest.raises(UserError, match=r"cannot be held .*another process holds it"),
        changing_verified(tmp_path),
    ):
        pass


def test_a_folder_in_place_of_the_file_is_not_advised_to_be_deleted(tmp_path):
    (tmp_path / VERIFIED).mkdir()
    with pytest.raises(UserError, match="cannot be read") as raised:
        read_verified(tmp_path)
    assert "Delete" not in raised.value.message
