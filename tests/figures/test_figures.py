"""Figures show medians and ranges over seeds, mark failed runs and leave out missing values."""

import dataclasses
import json
from pathlib import Path

import pytest
from helpers.record_factory import make_record
from hypothesis import given
from hypothesis import strategies as st

from dstbench.errors import UserError
from dstbench.figures.define_plots import define_plots
from dstbench.figures.draw_plots import draw_figure, draw_runs
from dstbench.figures.gradient_flow import gradient_flow
from dstbench.figures.load_runs import RunData, Setting, load_runs
from dstbench.figures.styles import families, in_display_order, listed_styles, style_of
from dstbench.recording import record

pytest.importorskip("matplotlib")

SETTING = Setting("digits", "ResNet20", "digits", "strict", "fp32")


def run(method, sparsity, accuracy, norm=1.0, mark=None, epochs=3, setting=SETTING):
    curves = [
        {"epoch": epoch, "grad_norm_live": norm, "sparsity": sparsity, "live_path_share": None}
        for epoch in range(1, epochs + 1)
    ]
    layers = {"a": 0.5, "b": 0.3}
    return RunData(setting, method, sparsity, accuracy, mark, layers, curves)


def plot(name, runs):
    return {plot.name: plot for plot in define_plots(runs)}[name]


def series(name, runs, panel=0):
    return {one.label: one for one in plot(name, runs).panels[panel].series}


def test_accuracy_over_sparsity_shows_median_and_range_over_seeds():
    runs = [run("A", 0.9, a) for a in (50.0, 70.0, 65.0)] + [run("A", 0.99, 20.0)]
    runs.append(run("A", 0.99, None))  # still running
    one = series("accuracy_over_sparsity", runs)["A"]
    assert one.xs == pytest.approx([0.01, 0.1])
    assert (one.low, one.middle, one.high) == ([20.0, 50.0], [20.0, 65.0], [20.0, 70.0])
    assert [round(x, 3) for x, _ in one.points] == [0.01, 0.1, 0.1, 0.1]
    assert [y for _, y in one.points] == [20.0, 50.0, 65.0, 70.0]


def test_curves_show_medians_and_omit_missing_metrics():
    runs = [run("A", 0.9, 50.0, norm) for norm in (1.0, 3.0, 2.0)]
    one = series("gradient_norm", runs)["A"]
    assert (one.xs, one.low, one.middle, one.high) == ([1, 2, 3], [1.0] * 3, [2.0] * 3, [3.0] * 3)
    assert series("positive_preactivations", runs)["A"].middle == pytest.approx([50.0, 30.0])
    assert "live_paths" not in {plot.name for plot in define_plots(runs)}


def test_a_diverged_run_counts_up_to_its_last_epoch():
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
    assert plot("accuracy_over_sparsity", runs).axes.sparsities == [0.9, 0.99]


def test_every_sparsity_has_a_panel_with_the_dense_runs():
    runs = [run("Dense", 0.0, 90.0), run("A", 0.99, 50.0), run("A", 0.9, 60.0)]
    panels = plot("gradient_norm", runs).panels
    assert [panel.title for panel in panels] == ["90 % sparsity", "99 % sparsity"]
    assert [[one.label for one in panel.series] for panel in panels] == [["Dense", "A"]] * 2


def test_equal_constant_sparsities_are_merged_into_one_line():
    still, moving = [run("A", 0.9, 50.0), run("B", 0.9, 50.0)], run("C", 0.9, 50.0)
    for epoch, line in enumerate(moving.curves):
        line["sparsity"] = 0.9 - 0.1 * epoch
    assert list(series("sparsity", [*still, moving])) == ["constant: all others", "C"]
    assert list(series("sparsity", still)) == ["constant: all"]
    assert list(series("sparsity", still[:1])) == ["A"]


def test_different_constant_sparsities_are_not_merged():
    other = run("D", 0.9, 50.0)
    for line in other.curves:
        line["sparsity"] = 0.5
    assert set(series("sparsity", [run("A", 0.9, 50.0), other])) == {"A", "D"}


def test_long_runs_are_thinned_and_keep_their_last_epoch():
    one = series("gradient_norm", [run("A", 0.9, 50.0, epochs=1001)])["A"]
    assert len(one.xs) < 130 and one.xs[-1] == 1001


def test_families_are_a_method_and_its_variants():
    names = ["EAST", "RigL w/ WS", "SET", "RigL", "EAST w/o cycle", "RigL cyclic", "RigLike"]
    assert families(names) == [["RigL", "RigL w/ WS", "RigL cyclic"], ["EAST w/o cycle", "EAST"]]
    runs = [run(name, 0.9, 50.0) for name in names]
    titles = [panel.title for panel in plot("gradient_norm_by_trick", runs).panels]
    assert titles == ["RigL: 90 % sparsity", "EAST: 90 % sparsity"]


def test_gradient_flow_is_the_sum_of_the_layers_norms():
    assert gradient_flow({"layers_grad_norm": {"a": 3.0, "b": 4.0}}) == 7.0
    assert gradient_flow({"layers_grad_norm": {"a": 0.0}}) == 0.0
    assert gradient_flow({"layers_grad_norm": {}}) is None and gradient_flow({}) is None
    assert gradient_flow({"layers_grad_norm": {"a": 3.0, "b": None}}) is None


def test_gradient_flow_is_drawn_in_the_epochs_in_which_it_was_measured(tmp_path):
    runs = []
    for name in ("RigL", "RigL w/ WS"):
        folder = tmp_path / str(len(runs))
        folder.mkdir()
        record.write(folder / "record.json", make_record(name, 0))
        lines = [{"epoch": 1, "layers_grad_norm": {"a": 1.0, "b": 0.5}},
                 {"epoch": 2, "layers_grad_norm": {}},
                 {"epoch": 3, "layers_grad_norm": {"a": 2.0, "b": 0.5}}]  # fmt: skip
        text = "".join(f"{json.dumps(line)}\n" for line in lines)
        (folder / "curves.jsonl").write_text(text)
        runs += load_runs([folder])
    one = series("gradient_flow", runs)["RigL w/ WS"]
    assert (one.xs, one.middle) == ([1, 3], [1.5, 2.5])


@given(st.lists(st.text(), max_size=8))
def test_style_does_not_depend_on_the_other_methods(names):
    assert set(in_display_order(names)) == set(names)
    runs = [run(name, 0.9, 50.0) for name in {*names, "RigL"}]
    for label, one in series("gradient_norm", runs).items():
        assert one.style == style_of(label)


def test_listed_styles_have_different_colors():
    styles = listed_styles()
    assert "RigL" in styles
    assert len({style.color for style in styles.values()}) == len(styles)


def test_a_method_without_a_listed_style_gets_a_spare_one_and_is_last():
    assert style_of("Mine").color and style_of("RigL (ERK)") == style_of("RigL")
    assert in_display_order(["Mine", "EAST", "Dense"]) == ["Dense", "EAST", "Mine"]


def test_plot_hash_changes_only_with_the_plotted_data():
    runs = [run("A", 0.9, 50.0), run("B", 0.9, 40.0)]
    shown = plot("accuracy_over_sparsity", runs)
    assert plot("accuracy_over_sparsity", runs[::-1]).sha256 == shown.sha256
    other = [run("A", 0.9, 50.01), run("B", 0.9, 40.0)]
    assert plot("accuracy_over_sparsity", other).sha256 != shown.sha256
    assert plot("gradient_norm", other).sha256 == plot("gradient_norm", runs).sha256


@pytest.mark.slow
def test_draw_runs_writes_every_figure_with_reproducible_bytes(tmp_path):
    runs = [run("A", 0.9, 50.0), run("B", 0.99, 40.0, mark="collapsed"), run("Dense", 0.0, 90.0)]
    written = draw_runs(runs, tmp_path / "one")
    assert {p.suffix for p in written} == {".png", ".svg"}
    assert len(written) == 2 * len(define_plots(runs)) > 4
    for path in draw_runs(runs, tmp_path / "two"):
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
def test_incomplete_data_is_drawn_without_warnings(runs, tmp_path, recwarn):
    assert draw_runs(runs, tmp_path)
    of_libraries = (DeprecationWarning, PendingDeprecationWarning, FutureWarning)  # of each other
    assert not [w for w in recwarn if not issubclass(w.category, of_libraries)]


def test_all_values_are_within_the_axes():
    runs = [run("A", 0.9, 50.0, norm=1.0), run("A", 0.99, 90.0, norm=30.0)]
    for number, one in enumerate(runs):
        for line in one.curves:
            line["positive_preactivations"] = 0.1 + 0.6 * number
    for shown in define_plots(runs):
        for axes, panel in zip(draw_figure(shown).axes, shown.panels, strict=True):
            low, high = axes.get_ylim()
            assert all(low <= y <= high for one in panel.series for y in (*one.low, *one.high))


@pytest.mark.slow
def test_each_setting_is_drawn_into_its_own_folder(tmp_path):
    runs = [run("A", 0.9, 50.0), run("A", 0.9, 50.0, setting=SETTING._replace(precision="bf16"))]
    folders = {path.parent.name for path in draw_runs(runs, tmp_path)}
    assert folders == {"digits-resnet20-digits-strict-fp32", "digits-resnet20-digits-strict-bf16"}


@given(st.text())
def test_setting_slug_is_a_safe_folder_name(name):
    slug = SETTING._replace(dataset=name, recipe=name).slug
    assert slug.count("-") >= 4 and set(slug) <= set("abcdefghijklmnopqrstuvwxyz0123456789._-")


@pytest.fixture
def folder(tmp_path):
    """Return the folder of a run that has finished one epoch."""
    names = {name: value for name, value in SETTING._asdict().items() if value}
    made = make_record("A", sparsity=0.9, status="running", **names)
    record.write(tmp_path / "record.json", made)
    line = {"epoch": 1, "grad_norm_live": 2.0, "layers_positive": {"a": 0.25}}
    (tmp_path / "curves.jsonl").write_text(json.dumps(line) + "\n")
    return tmp_path


def test_load_runs_reads_records_and_curves(folder):
    (one,) = load_runs([folder])
    assert (one.setting, one.method, one.sparsity) == (SETTING, "A", 0.9)
    assert one.accuracy is None and one.layers_positive == {"a": 0.25}
    assert [line["grad_norm_live"] for line in one.curves] == [2.0]


def test_plot_command_draws_run_folders_and_prints_the_files(call, folder, tmp_path):
    code, out, _ = call("plot", str(folder), "--out", str(tmp_path / "figures"))
    assert code == 0 and f"{tmp_path / 'figures' / 'gradient_norm.svg'}" in out.splitlines()
    assert all(Path(line).is_file() for line in out.splitlines())
    code, _, err = call("plot", "--runs", str(tmp_path / "none"))
    assert code == 2 and "no run below" in err


def test_load_runs_without_an_epoch_raises(tmp_path):
    (tmp_path / "curves.jsonl").write_text("")
    with pytest.raises(UserError, match="nothing to draw"):
        load_runs([tmp_path])


def test_load_runs_leaves_out_no_folder_that_does_not_exist(tmp_path):
    with pytest.raises(UserError, match="absent: no such run folder"):
        load_runs([tmp_path / "absent"])


def test_load_runs_reports_unreadable_files(tmp_path):
    (tmp_path / "curves.jsonl").write_text('{"epoch": 1}\n')
    with pytest.raises(UserError, match="no such record"):
        load_runs([tmp_path])
    (tmp_path / "curves.jsonl").write_text("no JSON\n")
    with pytest.raises(UserError, match="line 1 holds no epoch"):
        load_runs([tmp_path])


def test_draw_runs_reports_an_unwritable_folder(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written"):
        draw_runs([run("A", 0.9, 50.0)], tmp_path / "file" / "figures")


@pytest.mark.parametrize(
    "name, cost", [("accuracy_over_macs", "macs"), ("accuracy_over_training_flops", "training")]
)
def test_accuracy_over_cost_is_a_point_for_each_sparsity(name, cost):
    runs = [
        dataclasses.replace(run("A", sparsity, accuracy), **{cost: fraction})
        for sparsity, accuracy, fraction in (
            (0.9, 50.0, 0.10), (0.9, 70.0, 0.12), (0.9, 60.0, 0.11), (0.99, 20.0, 0.01),
        )
    ]  # fmt: skip
    runs.append(run("A", 0.99, 30.0))  # its cost was not counted
    runs.append(dataclasses.replace(run("Dense", 0.0, 90.0), **{cost: 1.0}))
    found = series(name, runs)
    assert (found["A"].xs, found["A"].middle) == ([0.01, 0.11], [20.0, 60.0])
    assert (found["Dense"].xs, found["Dense"].middle) == ([1.0], [90.0])
    assert plot(name, runs).axes.log_x and len(draw_figure(plot(name, runs)).axes) == 1


def write_runs(folder, *made):
    for i, one in enumerate(made):
        (folder / str(i)).mkdir()
        record.write(folder / str(i) / "record.json", one)
        line = {"epoch": 1, "val_accuracy": 50.0, "sparsity": 0.99}
        (folder / str(i) / "curves.jsonl").write_text(json.dumps(line) + "\n")
    return [folder / str(i) for i in range(len(made))]


def test_runs_of_other_settings_are_not_pooled(tmp_path):
    folders = write_runs(
        tmp_path, make_record("RigL", 0), make_record("RigL", 1),
        make_record("RigL", 2, settings={"Run.epochs": "5"}), make_record("SET", 0, images="0000"),
    )  # fmt: skip
    groups = {run.setting for run in load_runs(folders)}
    assert sorted(setting.variant.split(",")[0] for setting in groups) == [
        "epochs = 250", "epochs = 250", "epochs = 5",
    ]  # fmt: skip
    assert len({setting.slug for setting in groups}) == 3


def test_two_configurations_of_one_method_are_refused(tmp_path):
    folders = write_runs(
        tmp_path, make_record("RigL", 0), make_record("RigL", 1, settings={"ERK.floor": "0.5"})
    )
    with pytest.raises(UserError, match=r"RigL at 99 %.*two configurations.*ERK\.floor = 0\.5"):
        load_runs(folders)
