"""Figures show medians and ranges over seeds, mark what failed, and leave out what is unknown."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dstbench.errors import UserError
from dstbench.figures import drawing, plots, run_data
from dstbench.figures.styles import _LOOKS, families, in_order, look
from dstbench.records import record

pytest.importorskip("matplotlib")

SETTING = run_data.Setting("digits", "ResNet20", "digits", "strict", "fp32")


def run(method, sparsity, accuracy, norm=1.0, mark=None, epochs=3, setting=SETTING):
    curves = [
        {"epoch": epoch, "grad_norm_live": norm, "sparsity": sparsity, "live_path_share": None}
        for epoch in range(1, epochs + 1)
    ]
    layers = {"a": 0.5, "b": 0.3}
    return run_data.RunData(setting, method, sparsity, accuracy, mark, layers, curves)


def plot(name, runs):
    return {plot.name: plot for plot in plots.plots(runs)}[name]


def series(name, runs, panel=0):
    return {one.label: one for one in plot(name, runs).panels[panel].series}


def test_accuracy_is_the_median_over_seeds_and_their_range():
    runs = [run("A", 0.9, a) for a in (50.0, 70.0, 65.0)] + [run("A", 0.99, 20.0)]
    runs.append(run("A", 0.99, None))  # still running
    one = series("accuracy_over_sparsity", runs)["A"]
    assert one.xs == pytest.approx([0.01, 0.1])
    assert (one.low, one.middle, one.high) == ([20.0, 50.0], [20.0, 65.0], [20.0, 70.0])


def test_curves_are_medians_and_what_is_unknown_is_left_out():
    runs = [run("A", 0.9, 50.0, norm) for norm in (1.0, 3.0, 2.0)]
    one = series("gradient_norm", runs)["A"]
    assert (one.xs, one.low, one.middle, one.high) == ([1, 2, 3], [1.0] * 3, [2.0] * 3, [3.0] * 3)
    assert series("positive_preactivations", runs)["A"].middle == pytest.approx([50.0, 30.0])
    assert "live_paths" not in {plot.name for plot in plots.plots(runs)}


def test_a_run_that_ended_early_counts_as_far_as_it_came():
    runs = [run("A", 0.9, 50.0, 1.0), run("A", 0.9, None, 5.0, mark="diverged", epochs=1)]
    one = series("gradient_norm", runs)["A"]
    assert one.middle == [3.0, 1.0, 1.0] and one.marks == [("diverged", 1, 5.0)]


def test_collapsed_and_diverged_runs_are_marked():
    runs = [run("A", 0.9, 10.0, mark="collapsed"), run("A", 0.99, None, mark="diverged")]
    marks = series("accuracy_over_sparsity", runs)["A"].marks
    assert {(what, round(1 - x, 3), y) for what, x, y in marks} == {
        ("collapsed", 0.9, 10.0),
        ("diverged", 0.99, None),
    }
    assert plot("accuracy_over_sparsity", runs).axes["sparsities"] == [0.9, 0.99]


def test_there_is_a_panel_for_every_sparsity_with_the_dense_runs_in_it():
    runs = [run("Dense", 0.0, 90.0), run("A", 0.99, 50.0), run("A", 0.9, 60.0)]
    panels = plot("gradient_norm", runs).panels
    assert [panel.title for panel in panels] == ["90 % sparsity", "99 % sparsity"]
    assert [[one.label for one in panel.series] for panel in panels] == [["Dense", "A"]] * 2


def test_constant_sparsities_are_one_line_since_they_hide_each_other():
    still, moving = [run("A", 0.9, 50.0), run("B", 0.9, 50.0)], run("C", 0.9, 50.0)
    for epoch, line in enumerate(moving.curves):
        line["sparsity"] = 0.9 - 0.1 * epoch
    assert list(series("sparsity", [*still, moving])) == ["constant: all others", "C"]
    assert list(series("sparsity", still)) == ["constant: all"]
    assert list(series("sparsity", still[:1])) == ["A"]


def test_constant_sparsities_that_differ_stay_apart():
    other = run("D", 0.9, 50.0)
    for line in other.curves:
        line["sparsity"] = 0.5
    assert set(series("sparsity", [run("A", 0.9, 50.0), other])) == {"A", "D"}


def test_long_runs_are_thinned_but_keep_their_end():
    one = series("gradient_norm", [run("A", 0.9, 50.0, epochs=1001)])["A"]
    assert len(one.xs) < 130 and one.xs[-1] == 1001


def test_a_family_is_a_method_and_what_adds_to_it():
    names = ["EAST", "RigL w/ WS", "SET", "RigL", "EAST w/o cycle", "RigL cyclic", "RigLike"]
    assert families(names) == [["RigL", "RigL w/ WS", "RigL cyclic"], ["EAST w/o cycle", "EAST"]]
    runs = [run(name, 0.9, 50.0) for name in names]
    titles = [panel.title for panel in plot("gradient_norm_by_trick", runs).panels]
    assert titles == ["RigL: 90 % sparsity", "EAST: 90 % sparsity"]


@given(st.lists(st.text(), max_size=8))
def test_a_method_looks_the_same_whatever_stands_beside_it(names):
    assert set(in_order(names)) == set(names)
    runs = [run(name, 0.9, 50.0) for name in {*names, "RigL"}]
    for label, one in series("gradient_norm", runs).items():
        assert one.look["color"] == look(label).color


def test_every_known_method_has_a_look_of_its_own():
    assert len(set(_LOOKS.values())) == len({one.color for one in _LOOKS.values()}) == len(_LOOKS)


def test_the_hash_changes_with_what_is_shown_and_only_with_that():
    runs = [run("A", 0.9, 50.0), run("B", 0.9, 40.0)]
    shown = plot("accuracy_over_sparsity", runs)
    assert plot("accuracy_over_sparsity", runs[::-1]).sha256 == shown.sha256
    other = [run("A", 0.9, 50.01), run("B", 0.9, 40.0)]
    assert plot("accuracy_over_sparsity", other).sha256 != shown.sha256
    assert plot("gradient_norm", other).sha256 == plot("gradient_norm", runs).sha256


@pytest.mark.slow
def test_every_figure_is_written_and_the_same_runs_give_the_same_bytes(tmp_path):
    runs = [run("A", 0.9, 50.0), run("B", 0.99, 40.0, mark="collapsed"), run("Dense", 0.0, 90.0)]
    written = drawing.draw(runs, tmp_path / "one")
    assert {p.suffix for p in written} == {".png", ".svg"}
    assert len(written) == 2 * len(plots.plots(runs)) > 4
    for path in drawing.draw(runs, tmp_path / "two"):
        assert path.read_bytes() == (tmp_path / "one" / path.name).read_bytes()


@pytest.mark.parametrize(
    "runs",
    [
        [run("Dense", 0.0, 90.0)],
        [run("A", 0.9, None)],
        [run("A", 0.9, None, mark="diverged"), run("A", 0.99, None, mark="diverged")],
        [run("A", 0.9, 10.0, norm=0.0, mark="collapsed")],
        [run(name, 0.9, 50.0) for name in ("$\\frac$", "_hidden", "_hidden w/ <b>&", "two\nlines")],
    ],
    ids=["dense only", "unfinished", "all diverged", "all collapsed", "odd names"],
)
def test_poor_data_is_drawn_without_complaint(runs, tmp_path, recwarn):
    assert drawing.draw(runs, tmp_path)
    assert not recwarn.list


def test_what_is_shown_lies_within_the_axes():
    runs = [run("A", 0.9, 50.0, norm=1.0), run("A", 0.99, 90.0, norm=30.0)]
    for number, one in enumerate(runs):
        for line in one.curves:
            line["positive_preactivations"] = 0.1 + 0.6 * number
    for shown in plots.plots(runs):
        for axes, panel in zip(drawing.figure(shown).axes, shown.panels, strict=True):
            low, high = axes.get_ylim()
            assert all(low <= y <= high for one in panel.series for y in (*one.low, *one.high))


@pytest.mark.slow
def test_what_must_not_be_compared_gets_figures_of_its_own(tmp_path):
    runs = [run("A", 0.9, 50.0), run("A", 0.9, 50.0, setting=SETTING._replace(precision="bf16"))]
    folders = {path.parent.name for path in drawing.draw(runs, tmp_path)}
    assert folders == {"digits-resnet20-digits-strict-fp32", "digits-resnet20-digits-strict-bf16"}


@given(st.text())
def test_a_setting_never_leaves_its_folder(name):
    slug = SETTING._replace(dataset=name, recipe=name).slug
    assert slug.count("-") >= 4 and set(slug) <= set("abcdefghijklmnopqrstuvwxyz0123456789._-")


@pytest.fixture
def folder(tmp_path):
    """The folder of a run that has finished one epoch."""
    config = {"text": "", "sha256": "0" * 64}
    origin = dict.fromkeys(
        ("versions", "device", "commit", "dirty", "command", "started", "attempt")
    )
    made = record.new(method="A", **SETTING._asdict(), seed=0, config=config, provenance=origin,
                      sparsity={"asked": 0.9, "measured": 0.9, "effective": None})  # fmt: skip
    record.write(tmp_path / "record.json", made)
    line = {"epoch": 1, "grad_norm_live": 2.0, "layers_positive": {"a": 0.25}}
    (tmp_path / "curves.jsonl").write_text(json.dumps(line) + "\n")
    return tmp_path


def test_folders_are_read(folder):
    (one,) = run_data.read([folder])
    assert (one.setting, one.method, one.sparsity) == (SETTING, "A", 0.9)
    assert one.accuracy is None and one.layers_positive == {"a": 0.25}
    assert [line["grad_norm_live"] for line in one.curves] == [2.0]


def test_plot_draws_run_folders_and_prints_the_files(call, folder, tmp_path):
    code, out, _ = call("plot", str(folder), "--out", str(tmp_path / "figures"))
    assert code == 0 and f"{tmp_path / 'figures' / 'gradient_norm.svg'}" in out.splitlines()
    assert all(Path(line).is_file() for line in out.splitlines())
    code, _, err = call("plot", "--runs", str(tmp_path / "none"))
    assert code == 2 and "no run below" in err


def test_nothing_to_draw(tmp_path):
    (tmp_path / "curves.jsonl").write_text("")
    with pytest.raises(UserError, match="nothing to draw"):
        run_data.read([tmp_path])


def test_what_cannot_be_read_is_said(tmp_path):
    (tmp_path / "curves.jsonl").write_text('{"epoch": 1}\n')
    with pytest.raises(UserError, match="no such record"):
        run_data.read([tmp_path])
    (tmp_path / "curves.jsonl").write_text("no JSON\n")
    with pytest.raises(UserError, match="holds no curves"):
        run_data.read([tmp_path])


def test_a_place_that_cannot_be_written_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written"):
        drawing.draw([run("A", 0.9, 50.0)], tmp_path / "file" / "figures")
