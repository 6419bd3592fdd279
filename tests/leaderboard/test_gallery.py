"""The leaderboard's figures are drawn from committed curves, and only when those have changed."""

import dataclasses
import json

import pytest
from helpers.made_up_records import METHODS, board, results

from dstbench.errors import UserError
from dstbench.leaderboard import gallery

pytest.importorskip("matplotlib")

ONE = ("cifar10",)
FOLDER = "cifar10-resnet34-cifar10_resnet34-strict-bf16"


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """A board and the folder of its figures; not to be written to."""
    folder = tmp_path_factory.mktemp("board")
    made = board(folder, results(datasets=ONE))
    return made, gallery.draw(made, folder / "figures")


@pytest.fixture
def copied(drawn, tmp_path):
    """The same, to be changed: (board, folder of figures)."""
    made, files = drawn
    for file in [*files, made.folder / "figures" / gallery.HASHES]:
        copy = tmp_path / file.relative_to(made.folder)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(file.read_bytes())
    return board(tmp_path, list(made.results)), tmp_path / "figures"


def change(made, epoch_accuracy=99.0):
    """Another validation accuracy in the curves of one run."""
    file = made.folder / "curves" / f"{made.results[-1].name}.json"
    curve = json.loads(file.read_text())
    curve["val_accuracy"][0] = epoch_accuracy
    file.write_text(json.dumps(curve))


def times(folder):
    return {file.name: file.stat().st_mtime_ns for file in folder.rglob("*.svg")}


def test_all_figures_of_a_setting_are_drawn_as_png_and_svg(drawn):
    made, files = drawn
    names = {file.name for file in files}
    for name in ("accuracy_over_sparsity", "positive_preactivations", "gradient_norm",
                 "gradient_norm_by_trick", "sparsity", "live_paths"):  # fmt: skip
        assert {f"{name}.png", f"{name}.svg"} <= names
    assert all(file.parent.name == FOLDER and file.stat().st_size > 1000 for file in files)
    assert gallery.stale(made, made.folder / "figures") == []


def test_settings_are_never_mixed(tmp_path):
    (one, other) = gallery.sets(board(tmp_path))
    assert (one.dataset, other.dataset) == ("cifar10", "cifar100")


def test_what_went_wrong_is_marked(tmp_path):
    def failed(key, seed):
        diverges = key.method == "RigL" and seed == 0
        return {"accuracy": None, "diverged": True} if diverges else {}

    made = board(tmp_path, results(datasets=ONE, changes=failed))
    ((_, plots),) = gallery.sets(made).items()
    marks = {(one.label, what) for one in plots[0].panels[0].series for what, *_ in one.marks}
    assert marks == {("RigL", "diverged"), ("SET", "collapsed")}


def test_only_what_changed_is_stale_and_drawn_again(copied):
    made, folder = copied
    assert gallery.stale(made, folder) == []
    change(made)
    assert gallery.stale(made, folder) == [
        f"{FOLDER}/accuracy_over_training.png",
        f"{FOLDER}/accuracy_over_training.svg",
    ]
    before = times(folder)
    gallery.draw(made, folder)
    after = times(folder)
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {"accuracy_over_training.svg"} and gallery.stale(made, folder) == []


def test_other_pixels_of_the_same_data_are_not_stale(copied):
    made, folder = copied
    (folder / FOLDER / "sparsity.png").write_bytes(b"drawn by another version of matplotlib")
    assert gallery.stale(made, folder) == []


def test_what_is_missing_is_drawn_again(copied):
    made, folder = copied
    (folder / FOLDER / "sparsity.svg").unlink()
    assert gallery.stale(made, folder) == [f"{FOLDER}/sparsity.svg"]
    gallery.draw(made, folder)
    assert gallery.stale(made, folder) == []


@pytest.mark.parametrize("hashes", ["{", "[]", "{}"])
def test_without_hashes_everything_is_stale(copied, hashes):
    made, folder = copied
    (folder / gallery.HASHES).write_text(hashes)
    assert len(gallery.stale(made, folder)) == len(list(folder.rglob("*.[ps][nv]g"))) > 8


def test_figures_of_a_setting_that_is_gone_are_removed(copied):
    made, folder = copied
    empty = dataclasses.replace(made, results=())
    assert len(gallery.stale(empty, folder)) == len(list(folder.rglob("*.[ps][nv]g")))
    assert gallery.draw(empty, folder) == []
    assert not list(folder.iterdir()) and gallery.stale(empty, folder) == []


def test_hashes_that_name_files_elsewhere_remove_nothing(copied):
    made, folder = copied
    precious = folder.parent / "precious.txt"
    precious.write_text("kept")
    hashes = json.loads((folder / gallery.HASHES).read_text())
    hashes |= {"../precious.txt": "", str(precious): "", "x-/../../precious.txt": ""}
    (folder / gallery.HASHES).write_text(json.dumps(hashes))
    gallery.draw(made, folder)
    assert precious.read_text() == "kept"


def test_without_curves_there_is_still_accuracy_over_sparsity(tmp_path):
    ((_, plots),) = gallery.sets(board(tmp_path, results(datasets=ONE), curves=False)).items()
    assert [plot.name for plot in plots] == ["accuracy_over_sparsity"]


def test_dense_runs_alone_make_no_figures(tmp_path):
    made = board(tmp_path, results({"Dense": (95.0, 95.0, 95.0)}, ONE), rows=("Dense", "SET"))
    dense = [
        dataclasses.replace(r, key=r.key._replace(column=r.key.column._replace(sparsity=0.0)))
        for r in made.results
    ]
    assert gallery.sets(dataclasses.replace(made, results=tuple(dense))) == {}


def test_names_come_in_the_order_of_methods(tmp_path):
    made = board(tmp_path, results(dict(reversed(METHODS.items())), ONE))
    ((_, plots),) = gallery.sets(made).items()
    assert [one.label for one in plots[0].panels[0].series] == ["SET", "RigL", "RigL w/ WS"]


def test_a_place_that_cannot_be_written_is_said(drawn, tmp_path):
    made, _ = drawn
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written"):
        gallery.draw(made, tmp_path / "file" / "figures")
