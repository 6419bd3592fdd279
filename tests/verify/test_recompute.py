"""`dstbench verify`: an honest record is recomputed; whatever it does not have is found."""

import copy
import json
import random
from contextlib import suppress
from pathlib import Path

import pytest
from helpers.recomputable import made, recomputable_record
from helpers.record_factory import name_of, sha256
from safetensors.torch import load, save

from dstbench.boards.badge_files import badge_file_problems
from dstbench.boards.badges import Badges
from dstbench.data.sources import digits
from dstbench.recording import predictions
from dstbench.recording import record as records
from dstbench.recording.stored_network import stored_network
from dstbench.training.engines.choose import evaluation_engine
from dstbench.utils.safetensors_bytes import CHECKSUM, signed, split
from dstbench.verify.recompute import recompute

# verify reads no images here: it must find a forgery by labels and network alone, and with images


@pytest.fixture
def verify(tmp_path, monkeypatch, call):
    monkeypatch.chdir(tmp_path)

    def run(record, *options):
        path = Path("leaderboard/records") / f"{name_of(record)}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        records.write(path, record)
        return call("verify", str(path), "--threads", "1", *options)

    return run


def test_honest_record_is_recomputed_and_gets_its_badge(verify, honest):
    code, out, err = verify(honest, "--write")
    assert (code, err) == (0, "")
    assert "recomputed: network, predictions, images" in out
    assert "changes 0 of 359 predictions" in out
    path = Path(f"leaderboard/records/{name_of(honest)}.json")
    badges = Badges(Path("leaderboard"))
    assert badges.of(honest, path.read_bytes()) == "recomputed with images"
    assert badges.of(honest, path.read_bytes() + b" ") == "self-reported"


def test_what_is_recomputed_is_noted_at_once(verify, honest, call, monkeypatch):
    """A leaderboard takes minutes; a call that is stopped keeps what it has done."""

    def stopped(path, *others):
        if path.name == "second.json":
            raise KeyboardInterrupt
        return recompute(path, *others)

    monkeypatch.setattr("dstbench.cli.commands.verify.recompute", stopped)
    verify(honest)
    folder = Path("leaderboard/records")
    records.write(folder / "second.json", honest)
    files = (str(folder / f"{name_of(honest)}.json"), str(folder / "second.json"))
    with suppress(KeyboardInterrupt):
        call("verify", *files, "--threads", "1", "--write")
    assert len(json.loads(Path("leaderboard/verified.json").read_text())) == 1


def test_engine_is_chosen_for_all_records_of_a_call(verify, honest, call, monkeypatch):
    asked = []

    def noted(state, precision, images):
        asked.append(images)
        return evaluation_engine(state, precision, images)

    monkeypatch.setattr("dstbench.verify.recompute.evaluation_engine", noted)
    verify(honest)
    folder = Path("leaderboard/records")
    records.write(folder / "second.json", honest)
    call("verify", str(folder / f"{name_of(honest)}.json"), str(folder / "second.json"))
    images = 359 + 143  # of the test and of validation
    assert asked == [images, 2 * images, 2 * images]


def test_large_network_is_read_from_the_networks_of_the_leaderboard(verify, honest):
    content = made()[1]
    honest["network"] = {
        "sha256": honest["network"]["sha256"], "bytes": len(content), "file": "network.safetensors",
    }  # fmt: skip
    code, out, _ = verify(honest)
    assert code == 1 and "the network's file is missing" in out
    folder = Path("leaderboard/networks")
    folder.mkdir()
    (folder / f"{name_of(honest)}.safetensors").write_bytes(content)
    assert verify(honest)[0] == 0


def hits_of(chance, record):
    predicted = predictions.decode(record["predictions"]["test"], 10)
    for i in chance.sample(range(len(predicted)), 40):
        predicted[i] = (predicted[i] + 1) % 10
    text = predictions.encode(predicted, 10)
    record["predictions"] |= {"test": text, "test_at_best_val": text}


def better(chance, record):
    record["accuracy"]["test_final"] += 100 / 359 * chance.randrange(1, 20)


def fewer_macs(chance, record):
    layer = chance.choice([x for x in record["cost"]["layers"] if x["macs"] > 10])
    cut = chance.randrange(1, 10)
    layer["macs"] -= cut
    record["cost"]["macs"] -= cut
    record["cost"]["flops"] -= 2 * cut


def moved_weights(chance, record):
    one, other = chance.sample([x for x in record["cost"]["layers"] if x["live"] > 1], 2)
    one["live"], other["live"] = one["live"] - 1, other["live"] + 1


def more_paths(chance, record):
    record["sparsity"]["effective"] = min(1.0, record["sparsity"]["effective"] + 0.01)


def other_network(chance, record):
    content = recomputable_record(seed=5)[1]
    record["network"] = stored_network(content, "network.safetensors")


def wider_network(chance, record):
    content = recomputable_record("ResNet20.width = 5")[1]
    record["network"] = stored_network(content, "network.safetensors")


def other_images(chance, record):
    record["provenance"]["dataset_sha256"] = "0" * 64


def other_width(chance, record):
    text = record["config"]["text"].replace("ResNet20.width = 4", "ResNet20.width = 3")
    record["config"] = {"text": text, "sha256": sha256(text)}


def smaller_file(chance, record):
    record["cost"]["deployed_bytes"] //= 2


@pytest.mark.parametrize(
    "forge",
    [
        hits_of, better, fewer_macs, moved_weights, more_paths, other_network, wider_network,
        other_images, other_width, smaller_file,
    ],
)  # fmt: skip
def test_forged_record_differs(verify, honest, forge):
    forge(random.Random(forge.__name__), honest)
    code, out, _ = verify(honest, "--write")
    assert code == 1 and ": differs: " in out, out
    assert json.loads(Path("leaderboard/verified.json").read_text()) == {}


def test_best_network_is_recomputed_where_the_protocol_shows_it(verify):
    record, _ = copy.deepcopy(made(protocol="paper"))
    code, out, _ = verify(record)
    assert code == 0 and "self-reported: it carries no network of the epoch" in out
    record["network_at_best_val"] = record["network"]
    assert verify(record)[0] == 0
    changed = dict.fromkeys(("test_final", "test_at_best_val"), 100.0)  # of one epoch
    record["accuracy"] |= changed
    code, out, _ = verify(record)
    assert code == 1 and "accuracy.test_at_best_val is 100.0, but its predictions give" in out


def test_record_with_plugins_or_without_network_is_self_reported(verify, honest):
    plugin = copy.deepcopy(honest)
    plugin["provenance"]["plugins"] = {"mine.py": "aa"}
    code, out, _ = verify(plugin)
    assert code == 0 and "self-reported: it uses mine.py" in out
    del honest["network"]
    code, out, _ = verify(honest)
    assert code == 0 and "self-reported: it carries no network" in out


def test_configuration_that_imports_something_else_is_not_imported(verify, honest):
    text = "import antigravity\n" + honest["config"]["text"]
    honest["config"] = {"text": text, "sha256": sha256(text)}
    code, out, _ = verify(honest)
    assert code == 0 and "it uses antigravity, which is not of the suite" in out


def test_note_about_a_record_that_cannot_be_recomputed_is_refused(verify, honest):
    assert verify(honest, "--write")[0] == 0
    del honest["network"]
    path = Path(f"leaderboard/records/{name_of(honest)}.json")
    verified = Path("leaderboard/verified.json")
    (entry,) = json.loads(verified.read_text()).values()
    records.write(path, honest)
    verified.write_text(json.dumps({sha256(path.read_text()): entry}))
    code, out, _ = verify(honest)
    assert code == 1 and "verified.json has it as recomputed" in out


@pytest.mark.parametrize("content", [None, "{", "[]"])
def test_file_that_is_no_record_exits_2(tmp_path, call, content):
    if content is not None:
        (tmp_path / "one.json").write_text(content)
    code, out, err = call("verify", str(tmp_path / "one.json"))
    assert code == 2 and out == "" and "one.json" in err


def test_predictions_improved_within_the_noise_of_devices_are_found(verify, honest, monkeypatch):
    """A GPU may change many predictions, but not only to the right class."""
    labels = digits.load().test.labels
    predicted = predictions.decode(honest["predictions"]["test"], 10)
    wrong = [i for i, (p, y) in enumerate(zip(predicted, labels, strict=True)) if p != y][:9]
    for i in wrong:
        predicted[i] = int(labels[i])
    text, accuracy = predictions.encode(predicted, 10), predictions.accuracy(predicted, labels)
    honest["predictions"] |= {"test": text, "test_at_best_val": text}
    honest["accuracy"] |= {"test_final": accuracy, "test_at_best_val": accuracy}
    honest["provenance"]["device"] = "NVIDIA H100"
    code, out, _ = verify(honest)
    assert code == 1 and "has 9 fewer right (9 lost, 0 won); noise explains at most 1" in out


def put(section, key, value):
    def change(record):
        record[section][key] = value

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (put("health", "collapsed", False), "health.collapsed is False, not True"),
        (put("health", "live_zeros", 7), "health.live_zeros is 7"),
        (put("health", "sparsity", 0.5), "health.sparsity is 0.5"),
        (put("sparsity", "unpruned", {"x": 5}), "sparsity.unpruned is {'x': 5}"),
        (put("sparsity", "unpruned_fraction", 0.5), "sparsity.unpruned_fraction is 0.5"),
        (put("cost", "uncounted", {"attention": 5}), "cost.uncounted is {'attention': 5}"),
        (put("cost", "unpruned_fraction", 0.5), "cost.unpruned_fraction is 0.5"),
        (lambda record: record.update(dense_to_sparse=True), "dense_to_sparse is True"),
        (put("provenance", "initial_weights_sha256", "0" * 64), "with seed 0 gives"),
    ],
)
def test_field_that_follows_from_network_or_configuration_is_compared(
    verify, honest, change, message
):
    change(honest)
    code, out, _ = verify(honest)
    assert code == 1 and message in out, out


def test_training_flops_of_a_fixed_number_of_live_weights_are_exact(verify, honest):
    honest["cost"]["training_flops"] += 2
    code, out, _ = verify(honest)
    assert code == 1 and f"not {honest['cost']['training_flops'] - 2}" in out


def test_validation_accuracy_is_that_of_the_network(verify, honest):
    honest["accuracy"] |= dict.fromkeys(("val_final", "best_val"), 100 * 140 / 143)
    code, out, _ = verify(honest)
    assert code == 1 and "accuracy.val_final is 97.9" in out


def test_network_that_is_not_finite_differs(verify, honest):
    """It has no accuracy, which needs no images to be seen."""
    content = made()[1]
    metadata = split(content)[0]["__metadata__"]
    tensors = load(content)
    name = next(name for name in tensors if name.endswith("running_var"))
    tensors[name][0] = float("nan")
    metadata = {k: v for k, v in metadata.items() if k != CHECKSUM}
    honest["network"] = stored_network(signed(save(tensors, metadata)), "network.safetensors")
    code, out, _ = verify(honest)
    assert code == 1 and f"its network has NaN or infinity in {name}" in out


def test_network_of_one_seed_under_another_differs(verify, honest):
    text = honest["config"]["text"].replace("Run.seed = 0", "Run.seed = 1")
    honest |= {"seed": 1, "config": {"text": text, "sha256": sha256(text)}}
    code, out, _ = verify(honest)
    assert code == 1 and "provenance.initial_weights_sha256 is" in out


def test_initial_weights_of_another_version_of_torch_are_not_comparable(verify, honest):
    honest["provenance"] |= {"initial_weights_sha256": "0" * 64, "versions": {"torch": "1.0"}}
    code, out, _ = verify(honest)
    assert code == 0 and "; initial weights not comparable: they were drawn by torch 1.0" in out


def test_initial_weights_of_another_seed_differ_by_any_version_of_torch(verify, honest):
    other = copy.deepcopy(honest)
    other["seed"] = 1
    for record in (honest, other):
        record["provenance"]["versions"] = {"torch": "1.0"}
        record["provenance"]["initial_weights_sha256"] = "0" * 64
    path = Path("leaderboard/records/other.json")
    path.parent.mkdir(parents=True)
    records.write(path, other)
    code, out, _ = verify(honest)
    assert code == 1 and "is that of other, of seed 1" in out


def test_record_without_its_initial_weights_is_self_reported(verify, honest):
    del honest["provenance"]["initial_weights_sha256"]
    code, out, _ = verify(honest)
    assert code == 0 and "self-reported: it carries no hash of its initial weights" in out


def test_missing_or_other_network_behind_a_badge_is_named(verify, honest):
    content = made()[1]
    honest["network"] = {
        "sha256": honest["network"]["sha256"], "bytes": len(content), "file": "network.safetensors",
    }  # fmt: skip
    file = Path("leaderboard/networks") / f"{name_of(honest)}.safetensors"
    file.parent.mkdir(parents=True)
    file.write_bytes(content)
    assert verify(honest, "--write")[0] == 0
    assert list(badge_file_problems(Path("leaderboard"))) == []
    file.write_bytes(content[::-1])
    (problem,) = badge_file_problems(Path("leaderboard"))
    assert str(file) in problem and "sha256 is" in problem
    file.unlink()
    (problem,) = badge_file_problems(Path("leaderboard"))
    assert str(file) in problem and "missing" in problem


def replicate(record, **changes):
    """Write a record as a replication; return its path."""
    again = copy.deepcopy(record)
    again["provenance"]["attempt"] = "another"
    again |= changes
    path = Path("leaderboard/replications/again.json")
    path.parent.mkdir(parents=True)
    records.write(path, again)
    return path


def badge_of(record):
    path = Path(f"leaderboard/records/{name_of(record)}.json")
    return Badges(Path("leaderboard")).of(record, path.read_bytes())


def test_replication_counts_once_it_is_recomputed(verify, honest):
    assert verify(honest, "--write")[0] == 0
    replicate(honest)
    assert badge_of(honest) == "recomputed with images"
    code, out, _ = verify(honest, "--write")
    assert code == 0 and "replications/again.json: recomputed" in out
    assert badge_of(honest) == "retrained"


def test_forged_replication_differs_and_does_not_count(verify, honest):
    path = replicate(honest, accuracy=honest["accuracy"] | {"test_final": 100 * 350 / 359})
    code, out, _ = verify(honest, "--write")
    assert code == 1 and f"{path}: differs: " in out and "retrained 97.49" in out
    assert badge_of(honest) == "recomputed with images"


def test_replication_without_network_or_record_differs(verify, honest, call):
    path = replicate(honest)
    code, out, _ = call("verify", str(path), "--threads", "1")
    assert code == 1 and "no record has its configuration and seed" in out
    again = records.read(path)
    del again["network"]
    records.write(path, again)
    code, out, _ = verify(honest)
    assert code == 1 and "has to be recomputed: it carries no network" in out
