"""A grid's table shows the grid's runs, by hash; other runs change nothing in it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.lab import GRID, list_runs, write_records
from helpers.record_factory import make_record

from dstbench.api.grid_hashes import grid_hashes
from dstbench.boards import grid_runs
from dstbench.boards.build_board import build_board
from dstbench.boards.markdown import table_file
from dstbench.config import grid
from dstbench.config.shipped_files import GRIDS, shipped
from dstbench.errors import UserError


@pytest.fixture
def out(tmp_path):
    """A leaderboard with the six runs of two methods of a grid, which are on its list."""
    (tmp_path / "mine.gin").write_text(GRID)
    write_records(tmp_path, *(make_record(m, s, 90.0 + s) for m in ("SET", "RigL") for s in (0, 1)))
    list_runs(tmp_path, tmp_path / "mine.gin", *(make_record("EAST", s) for s in (0, 1)))
    return tmp_path


def built(out):
    return build_board(out, [grid.read(out / "mine.gin")])


STRANGERS = {
    "other epochs": {"settings": {"Run.epochs": "5"}},
    "another rate": {"settings": {"SGD.lr": "0.3"}},
    "another method of this name": {"settings": {"RigL.update_interval": "7"}},
    "another method": {"method": "SynFlow"},
    "another seed": {"seed": 9},
    "other images": {"images": "0000", "seed": 8},
}


@pytest.mark.parametrize("stranger", STRANGERS.values(), ids=STRANGERS)
def test_other_runs_in_the_folder_change_nothing_in_a_grids_table(out, stranger):
    before = table_file.render(built(out).tables[0])
    write_records(out, make_record(**{"method": "RigL", "accuracy": 99.0, **stranger}))
    board = built(out)
    assert table_file.render(board.tables[0]) == before
    assert not board.rejected and not board.refused
    (block,) = board.others
    (cell,) = block.cells.values()
    assert cell.mean == 99.0


def test_columns_of_other_settings_say_what_differs(out):
    write_records(
        out,
        *(make_record("SET", s, 70.0, settings={"Run.epochs": "5"}) for s in (0, 1)),
        make_record("SynFlow", 0, 71.0, settings={"Run.epochs": "5"}),
        make_record("SynFlow", 0, 72.0, settings={"Run.epochs": "7", "SGD.lr": "0.5"}),
        make_record("SynFlow", 0, 73.0),
    )
    others = built(out).others
    found = {b.columns[0].variant: sorted(c.key.method for c in b.cells.values()) for b in others}
    assert found == {
        "": ["SynFlow"],
        "epochs = 5": ["SET", "SynFlow"],
        "SGD.lr = 0.5, epochs = 7": ["SynFlow"],
    }
    assert any("epochs = 5" in b.title for b in others)


def test_settings_of_the_method_itself_do_not_part_columns(out):
    write_records(
        out,
        make_record("Mine", 0, 70.0, settings={"Method.parts": "[@ERK(), @Mine()]", "Mine.a": "1"}),
        make_record("Yours", 0, 71.0, settings={"ERK.floor": "0.5"}),
    )
    (block,) = built(out).others
    assert sorted(block.rows) == ["Mine", "Yours"] and block.columns[0].variant == ""


def test_refused_run_of_a_grid_is_told_from_other_refused_records(out):
    write_records(out, make_record("SynFlow", 0, 99.0, live=5))
    board = built(out)
    assert len(board.rejected) == 1 and not board.refused
    (name,) = write_records(out, make_record("EAST", 0, 99.0, live=5))
    assert [one.names for one in built(out).refused] == [(name,)]
    (out / "records" / f"{name}.json").write_text("{")
    assert [one.names for one in built(out).refused] == [(name,)]


@pytest.mark.slow  # draws figures
@pytest.mark.parametrize("option", [(), ("--check",)])
def test_leaderboard_fails_where_a_run_of_a_grid_is_refused(out, call, monkeypatch, option):
    monkeypatch.chdir(out)
    write_records(out, make_record("SynFlow", 0, 99.0, live=5))
    command = ("leaderboard", "mine.gin", "--out", ".")
    assert call(*command)[0] == 0 == call(*command, *option)[0]
    write_records(out, make_record("EAST", 0, 99.0, live=5))
    call(*command)
    code, _, err = call(*command, *option)
    assert code == 1 and "rejected, a run of a grid: east-" in err


def test_list_of_runs_is_made_when_missing_and_again_when_a_gin_file_changes(
    tmp_path, call, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    Path("own.gin").write_text("include 'methods/rigl.gin'\nMethod.name = 'Own'\n")
    Path("small.gin").write_text(
        "Table.title = 'T'\nTable.sections = [@Section()]\nSection.methods = ['own.gin']\n"
        "Section.recipes = ['digits']\nSection.sparsities = [0.5]\nSection.seeds = [0]\n"
    )
    Path("lb").mkdir()
    path = Path("lb/grids/small.json")
    code, out, _ = call("leaderboard", "small.gin", "--out", "lb", "--check")
    assert code == 1 and f"{path}: does not match the grid" in out and not path.exists()
    assert call("leaderboard", "small.gin", "--out", "lb")[0] == 0
    first = json.loads(path.read_bytes())
    (sha256,) = first["runs"]  # digits sets the precision
    with Path("own.gin").open("a") as file:
        file.write("RigL.updates_per_run = 5\n")
    code, out, _ = call("leaderboard", "small.gin", "--out", "lb", "--check")
    assert code == 1 and f"{path}: does not match the grid" in out
    call("leaderboard", "small.gin", "--out", "lb")
    assert json.loads(path.read_bytes())["runs"] not in ([], [sha256])
    path.write_text("[]")
    code, _, err = call("leaderboard", "small.gin", "--out", "lb")
    assert code == 2 and str(path) in err and "Delete it" in err


@pytest.mark.slow  # draws figures
def test_leaderboard_with_current_lists_needs_no_torch(out):
    program = """
import sys
from dstbench.cli.main import main
try:
    main(["leaderboard", "mine.gin", "--out", "."])
except SystemExit as end:
    sys.exit(end.code or "torch" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=out, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("name", shipped(GRIDS))
def test_committed_lists_are_those_of_the_sweeps(name):
    table = grid.read(name)
    folder = Path(__file__).resolve().parents[2] / "leaderboard"
    if table.kind != "cost":
        assert grid_runs.read(folder, table) == set(grid_hashes(table))


def test_a_list_that_cannot_be_read_is_not_called_a_wrong_one(out):
    path = grid_runs.path_of(out, grid.read(out / "mine.gin"))
    path.unlink()
    path.mkdir()
    with pytest.raises(UserError, match="cannot be read") as raised:
        built(out)
    assert "Delete" not in raised.value.message


def test_a_file_in_place_of_the_leaderboard_is_one_message(out, monkeypatch, call):
    monkeypatch.chdir(out)
    code, _, err = call("leaderboard", "mine.gin", "--out", "mine.gin")
    assert code == 2 and "mine.gin/grids/mine.json: cannot be read (Not a directory)" in err
