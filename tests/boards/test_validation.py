"""`dstbench validate`: one line for each problem, with its file."""

import json
from pathlib import Path

import pytest
from helpers.lab import write_records
from helpers.record_factory import PRUNABLE, make_record, name_of, sha256

from dstbench.boards.validation import inconsistencies
from dstbench.config.choices import Choices
from dstbench.recording import record as records
from dstbench.training.configure import assemble
from dstbench.training.run import run_name


@pytest.fixture
def validate(tmp_path, monkeypatch, call):
    monkeypatch.chdir(tmp_path)

    def run(*made, name=None):
        names = write_records(Path("."), *made, name=name)
        code, out, err = call("validate", *(f"records/{one}.json" for one in names))
        return code, out.splitlines()[:-1], err

    return run


def test_a_consistent_record_has_no_complaint(validate):
    assert validate(make_record(), make_record(seed=1), make_record("SET", status="diverged")) == (
        0,
        [],
        "",
    )


def wrong(section, key, value):
    def change(made):
        made[section][key] = value
        return made

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (wrong("accuracy", "test_final", 101.0), "accuracy.test_final is 101.0"),
        (wrong("accuracy", "best_val", -1.0), "accuracy.best_val is -1.0"),
        (wrong("accuracy", "test_at_best_val", None), "no accuracy to show"),
        (wrong("accuracy", "shown", "best_val"), "accuracy.shown is 'best_val'"),
        (wrong("accuracy", "selected_on_test", None), "selected_on_test is None"),
        (wrong("health", "collapsed", None), "health.collapsed is None"),
        (wrong("sparsity", "measured", 0.5), "sparsity.measured is 0.5, but"),
        (wrong("sparsity", "effective", 0.5), "is below sparsity.measured"),
        (wrong("sparsity", "effective", 1.5), "sparsity.effective is 1.5"),
        (wrong("sparsity", "asked", 1.0), "sparsity.asked is 1.0"),
        (wrong("cost", "live_weights", PRUNABLE + 1), "live of 100000 prunable"),
        (wrong("config", "text", "Run.seed = 1\n"), "one of them was changed"),
        (wrong("provenance", "commit", None), "has no commit"),
        (wrong("provenance", "dirty", True), "uncommitted changes to commit c09d0e42"),
        (wrong("provenance", "plugins", [1]), "provenance.plugins is [1]"),
        (wrong("provenance", "dataset_sha256", []), "provenance.dataset_sha256 is []"),
        (lambda made: made | {"seed": "0"}, "seed is '0'"),
        (lambda made: made | {"seed": 9}, "seed is 9, but its configuration has 0"),
        (lambda made: made | {"method": "Mine"}, "method is 'Mine', but its configuration has"),
        (lambda made: made | {"recipe": "mine"}, "recipe is 'mine', but its configuration has"),
        (lambda made: made | {"dataset": "svhn"}, "dataset is 'svhn', but its configuration has"),
        (lambda made: made | {"status": "failed"}, "is not finished"),
    ],
)
def test_each_problem_is_reported(validate, change, message):
    made = make_record()
    name = name_of(made)
    code, lines, _ = validate(change(made), name=name)
    assert code == 1
    assert any(line.startswith(f"records/{name}.json: ") and message in line for line in lines)


def test_a_wrong_budget_is_reported_with_the_right_one(validate):
    code, (line,), _ = validate(make_record(live=1001))
    assert code == 1 and "1,001 live weights" in line and "leaves 1,000" in line


def test_a_wrong_file_name_is_reported_with_the_right_one(validate):
    code, (line,), _ = validate(make_record(), name="mine")
    assert code == 1 and f"{name_of(make_record())}.json" in line


def test_a_duplicate_is_reported_once(validate, call):
    names = write_records(Path("."), make_record())
    write_records(Path("."), make_record(), name="copy")
    code, out, _ = call("validate", f"records/{names[0]}.json", "records/copy.json")
    assert code == 1
    assert "records/copy.json: has the same configuration and seed as records/" in out


def test_a_broken_record_is_reported_and_the_others_are_checked(call, tmp_path):
    (name,) = write_records(tmp_path, make_record(live=5))
    broken = tmp_path / "records" / "broken.json"
    broken.write_text(json.dumps({"schema": 1}))
    code, out, _ = call("validate", str(broken), str(tmp_path / "records" / f"{name}.json"))
    assert code == 1
    assert "not a complete record" in out and "off its budget" in out


@pytest.mark.parametrize("path", ["absent.json", "."])
def test_an_unreadable_file_exits_2(call, tmp_path, monkeypatch, path):
    monkeypatch.chdir(tmp_path)
    code, out, err = call("validate", path)
    assert code == 2 and out == "" and path in err


def test_record_files_are_named_like_run_folders():
    run, resolved = assemble(Choices(("methods/rigl_ws.gin",)), "fp32")
    made = make_record("RigL w/ WS", 0, sparsity=0.9, dataset="digits", model="ResNet20")
    made["config"]["sha256"] = resolved.sha256
    assert name_of(made) == run_name(run, resolved)


def problems(cost=None, accuracy=None, **made):
    record = make_record(**made)
    record["cost"] |= cost or {}
    record["accuracy"] |= accuracy or {}
    return "; ".join(inconsistencies(record))


def test_best_network_above_the_budget_is_refused():
    assert not problems(accuracy={"live_at_best": 1000}, sparsity=0.99)
    assert not problems(accuracy={"live_at_best": None}, sparsity=0.99)
    for live in (1001, 100_000, -1, "all"):
        assert "live_at_best" in problems(accuracy={"live_at_best": live}, sparsity=0.99)


def dense_of(size):
    """Return the cost of a dense network of so many weights, of an original with 100,000."""
    cost = make_record(live=size)["cost"]
    layer = cost["layers"][0] | {"shape": [size], "size": size, "dense_macs": size}
    return cost | {"layers": [layer], "stored_weights": size}


def test_smaller_dense_network_may_be_below_its_budget_and_not_above():
    assert not problems(cost=dense_of(950), live=950)
    assert "off its budget" in problems(cost=dense_of(1050), live=1050)
    assert "off its budget" in problems(live=950)  # a masked one is exact


def test_training_flops_are_those_of_whole_images_where_the_dataset_is_unknown():
    def of(trained, dense):
        cost = {"training_flops": trained, "dense_training_flops": dense}
        return problems(cost=cost, dataset="mine")

    dense = 6 * 100_000
    assert not of(7 * 6000, 7 * dense)
    assert "whole number of images" in of(7 * 6000, 7 * dense + 1)
    for trained, other in ((None, dense), (0, dense), (1.5, dense), (1, None), (-1, dense)):
        assert "training_flops" in of(trained, other)


IMAGES = 250 * 45_000  # of a run of the record factory


@pytest.mark.parametrize(
    ("protocol", "settings", "images"),
    [
        ("paper", {}, IMAGES),
        ("all_images", {}, 250 * 50_000),
        ("paper", {"Run.train_images": "1000"}, 250 * 1000),
        ("paper", {"Run.epochs": "3"}, 3 * 45_000),
    ],
)
def test_dense_training_flops_follow_from_the_configuration(protocol, settings, images):
    def of(images):
        cost = {"training_flops": 6000 * images, "dense_training_flops": 600_000 * images}
        made = {"protocol": protocol, "settings": settings}
        return problems(cost=cost, accuracy=accuracy, **made)

    accuracy = {"shown": "test_final"} if protocol == "all_images" else {}
    if accuracy:
        accuracy |= dict.fromkeys(("test_at_best_val", "best_val", "best_epoch"))
    assert not of(images)
    assert "dense_training_flops" in of(images + 1)
    assert "dense_training_flops" in of(10 * images)


@pytest.mark.parametrize(
    ("macs", "message"),
    [
        (3000, ""),
        (300_000, ""),
        (2999, "take at least"),
        (1, "take at least"),
        (300_001, "take at most"),
    ],
)
def test_training_flops_are_between_those_of_the_finished_and_the_dense_network(macs, message):
    cost = {"training_flops": 2 * macs * IMAGES, "dense_training_flops": 600_000 * IMAGES}
    found = problems(cost=cost)
    assert message in found if message else not found


def test_training_flops_with_parts_of_a_plugin_have_no_limits():
    cost = {"training_flops": 2 * IMAGES, "dense_training_flops": 600_000 * IMAGES}
    record = make_record()
    record["cost"] |= cost
    record["provenance"]["plugins"] = {"mine.py": "ab"}
    assert list(inconsistencies(record)) == []


@pytest.mark.parametrize(
    ("section", "change", "message"),
    [
        ("provenance", {"commit": "not a commit"}, "provenance.commit"),
        ("provenance", {"commit": "c09d0e42"}, "provenance.commit"),
        ("provenance", {"started": 9e12, "ended": 1.0}, "before provenance.started"),
        ("provenance", {"started": "now"}, "provenance.started"),
        ("provenance", {"train_seconds": -5}, "provenance.train_seconds"),
        ("provenance", {"engine_steps": {"native": 10**9}}, "250 epochs of 352 steps are 88,000"),
        ("accuracy", {"test_final_top5": 99.0}, "with 10 classes there is none"),
        ("accuracy", {"val_final": 91.0}, "accuracy.best_val is 90.0, below"),
    ],
)
def test_impossible_value_is_reported(section, change, message):
    record = make_record()
    assert list(inconsistencies(record)) == []
    record[section] |= change
    assert message in "; ".join(inconsistencies(record))


def test_steps_of_both_engines_add_up_to_those_of_the_run():
    record = make_record()
    record["provenance"]["engine_steps"] = {"torch": 1000, "native": 87_000}
    assert list(inconsistencies(record)) == []


@pytest.mark.parametrize(("top5", "message"), [(95.0, ""), (89.0, "below accuracy.test_final")])
def test_top5_accuracy_is_not_below_top1(top5, message):
    record = make_record(dataset="cifar100")
    record["predictions"] |= {"classes": 100}
    record["accuracy"] |= {"test_final_top5": top5}
    found = "; ".join(inconsistencies(record))
    assert message in found if message else not found


def test_dense_to_sparse_is_true_or_false():
    assert "dense_to_sparse is 'yes'" in "; ".join(
        inconsistencies(make_record() | {"dense_to_sparse": "yes"})
    )


def test_parts_of_another_method_are_refused_under_a_suite_name():
    made = make_record("EAST", settings={"Run.method": "@Method()", "Method.name": "'EAST'"})
    (problem,) = inconsistencies(made)
    assert "Method.name is 'EAST'" in problem and "but its parts are Method[ERK, RigL]" in problem


@pytest.mark.parametrize("text", ["", "{", "[]", "[" * 100_000])
def test_file_that_is_no_record_gives_exit_code_2(tmp_path, call, text):
    (tmp_path / "x.json").write_text(text)
    code, out, err = call("validate", str(tmp_path / "x.json"))
    assert code == 2 and "record" in out and "Traceback" not in err
    code, _, err = call("verify", str(tmp_path / "x.json"))
    assert code == 2 and "record" in err and "Traceback" not in err


def test_record_in_the_folder_of_its_run_needs_no_name_of_its_own(tmp_path, call):
    record = make_record()
    for name, code in (("record.json", 0), ("other.json", 1)):
        records.write(tmp_path / name, record)
        assert call("validate", str(tmp_path / name))[0] == code


def test_a_network_that_is_too_large_for_its_record_has_a_file(validate, tmp_path):
    content = b"a network"
    large = {"sha256": sha256(content.decode()), "bytes": len(content), "file": "n.safetensors"}
    record = make_record() | {"network": large}
    code, (line,), _ = validate(record)
    assert code == 1 and "network: the network's file is missing" in line
    file = tmp_path / "networks" / f"{name_of(record)}.safetensors"
    file.parent.mkdir()
    file.write_bytes(content)
    assert validate(record) == (0, [], "")
    file.write_bytes(content[::-1])
    code, (line,), _ = validate(record)
    assert code == 1 and "network: the network's sha256 is" in line
