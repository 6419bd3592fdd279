"""The leaderboard's figures are drawn from stored curves, and redrawn only when these change."""

import dataclasses
import json

import pytest
from helpers.made_up_records import METHODS, board, results

from dstbench.boards.board_figures import (
    HASHES,
    draw_stale,
    plots_by_setting,
    stale_figures,
)
from dstbench.errors import UserError

# Every test here draws figures.
pytestmark = pytest.mark.slow

pytest.importorskip("matplotlib")

ONE = ("cifar10",)
FOLDER = "cifar10-resnet34-cifar10_resnet34-strict-bf16"


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """Return a board and the paths of its figures; tests must not change them."""
    folder = tmp_path_factory.mktemp("board")
    made = board(folder, results(datasets=ONE))
    return made, draw_stale(made, folder / "figures")


@pytest.fixture
def copied(drawn, tmp_path):
    """Return a copy that a test may change: board, folder of figures."""
    made, files = drawn
    for file in [*files, made.folder / "figures" / HASHES]:
        copy = tmp_path / file.relative_to(made.folder)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(file.read_bytes())
    return board(tmp_path, list(made.results)), tmp_path / "figures"


def change(made, epoch_accuracy=99.0):
    """Change a validation accuracy in the curves of one run."""
    file = made.folder / "curves" / f"{made.results[-1].name}.json"
    curve = json.loads(file.read_text())
    curve["val_accuracy"][0] = epoch_accuracy
    file.write_text(json.dumps(curve))


def times(folder):
    return {file.name: file.stat().st_mtime_ns for file in folder.rglob("*.svg")}


def test_draw_stale_draws_all_figures_as_png_and_svg(drawn):
    made, files = drawn
    names = {file.name for file in files}
    for name in ("accuracy_over_sparsity", "positive_preactivations", "gradient_norm",
                 "gradient_norm_by_trick", "sparsity", "live_paths"):  # fmt: skip
        assert {f"{name}.png", f"{name}.svg"} <= names
    assert all(file.parent.name == FOLDER and file.stat().st_size > 1000 for file in files)
    assert stale_figures(made, made.folder / "figures") == []


def test_each_setting_has_its_own_figures(tmp_path):
    (one, other) = plots_by_setting(board(tmp_path))
    assert (one.dataset, other.dataset) == ("cifar10", "cifar100")


def test_figures_mark_collapsed_and_diverged_runs(tmp_path):
    def failed(key, seed):
        diverges = key.method == "RigL" and seed == 0
        return {"accuracy": None, "diverged": True} if diverges else {}

    made = board(tmp_path, results(datasets=ONE, changes=failed))
    ((_, plots),) = plots_by_setting(made).items()
    marks = {(one.label, what) for one in plots[0].panels[0].series for what, *_ in one.marks}
    assert marks == {("RigL", "diverged"), ("SET", "collapsed")}


def test_only_figures_with_changed_data_are_stale_and_redrawn(copied):
    made, folder = copied
    assert stale_figures(made, folder) == []
    change(made)
    assert stale_figures(made, folder) == [
        f"{FOLDER}/accuracy_over_training.png",
        f"{FOLDER}/accuracy_over_training.svg",
    ]
    before = times(folder)
    draw_stale(made, folder)
    after = times(folder)
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {"accuracy_over_training.svg"} and stale_figures(made, folder) == []


def test_other_pixels_of_the_same_data_are_not_stale(copied):
    made, folder = copied
    (folder / FOLDER / "sparsity.png").write_bytes(b"drawn by another version of matplotlib")
    assert stale_figures(made, folder) == []


def test_missing_figures_are_redrawn(copied):
    made, folder = copied
    (folder / FOLDER / "sparsity.svg").unlink()
    assert stale_figures(made, folder) == [f"{FOLDER}/sparsity.svg"]
    draw_stale(made, folder)
    assert stale_figures(made, folder) == []


@pytest.mark.parametrize("hashes", ["{", "[]", "{}"])
def test_all_figures_are_stale_without_hashes(copied, hashes):
    made, folder = copied
    (folder / HASHES).write_text(hashes)
    assert len(stale_figures(made, folder)) == len(list(folder.rglob("*.[ps][nv]g"))) > 8


def test_figures_of_a_removed_setting_are_deleted(copied):
    made, folder = copied
    empty = dataclasses.replace(made, results=())
    assert len(stale_figures(empty, folder)) == len(list(folder.rglob("*.[ps][nv]g")))
    assert draw_stale(empty, folder) == []
    assert not list(folder.iterdir()) and stale_figures(empty, folder) == []


def test_hashes_of_files_outside_the_folder_delete_nothing(copied):
    made, folder = copied
    precious = folder.parent / "precious.txt"
    precious.write_text("kept")
    hashes = json.loads((folder / HASHES).read_text())
    hashes |= {"../precious.txt": "", str(precious): "", "x-/../../precious.txt": ""}
    (folder / HASHES).write_text(json.dumps(hashes))
    draw_stale(made, folder)
    assert precious.read_text() == "kept"


def test_accuracy_over_sparsity_needs_no_curves(tmp_path):
    ((_, plots),) = plots_by_setting(board(tmp_path, results(datasets=ONE), curves=False)).items()
    assert [plot.name for plot in plots] == ["accuracy_over_sparsity", "accuracy_over_macs"]


def test_settings_with_only_dense_runs_have_no_figures(tmp_path):
    made = board(tmp_path, results({"Dense": (95.0, 95.0, 95.0)}, ONE), rows=("Dense", "SET"))
    dense = [
        dataclasses.replace(r, key=r.key._replace(column=r.key.column._replace(sparsity=0.0)))
        for r in made.results
    ]
    assert plots_by_setting(dataclasses.replace(made, results=tuple(dense))) == {}


def test_legend_is_in_display_order(tmp_path):
    made = board(tmp_path, results(dict(reversed(METHODS.items())), ONE))
    ((_, plots),) = plots_by_setting(made).items()
    assert [one.label for one in plots[0].panels[0].series] == ["SET", "RigL", "RigL w/ WS"]


def test_draw_stale_reports_an_unwritable_folder(drawn, tmp_path):
    made, _ = drawn
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written"):
        draw_stale(made, tmp_path / "file" / "figures")
