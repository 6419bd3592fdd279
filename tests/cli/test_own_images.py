"""Images of one's own, from the command line: prepared, trained on, recorded and compared."""

import shutil

import pytest
from helpers.disk_datasets import write_folder, write_hub, write_jpegs

from dstbench.recording import record

RUN = ("run", "methods/rigl.gin", "--recipe", "images", "--tracking", "off", "--quiet")
SMALL = ("--set", "Run.epochs=2", "--set", "ResNet20.width=4", "--set", "ResizedPipeline.size=8")


@pytest.fixture(autouse=True)
def empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DSTBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("DSTBENCH_DATA", raising=False)
    return tmp_path


def the_record(folder):
    (path,) = folder.glob("runs/*/record.json")
    return path


def test_run_trains_on_images_of_any_size_and_records_what_was_chosen(call, empty_folder):
    write_jpegs(empty_folder / "my pets", 2)
    code, out, err = call(*RUN, *SMALL, "--dataset", "./my pets")
    assert code == 0, err
    assert "my pets" in out and "my pets: val/ is used for testing." in err
    path = the_record(empty_folder)
    written = record.read(path)
    assert (written["dataset"], written["recipe"]) == ("my pets", "images")
    assert written["provenance"]["dataset_notes"] == ["val/ is used for testing."]
    code, out, err = call("compare", str(path), str(path), "--data-root", str(empty_folder))
    assert code == 0 and "test images: 6" in out, err


def test_content_decides_which_run_it_is_not_the_path(call, empty_folder):
    write_folder(empty_folder / "pets", shape=(8, 8, 1))
    argv = (*RUN, *SMALL, "--set", "Run.protocol='all_images'")
    assert call(*argv, "--dataset", "./pets")[0] == 0
    first = record.read(the_record(empty_folder))
    shutil.move("pets", "elsewhere/pets")
    code, _, err = call(*argv, "--dataset", "elsewhere/pets")
    assert code == 0 and "done already" in err
    shutil.copy("elsewhere/pets/train/cat/0.png", "elsewhere/pets/train/dog/1.png")
    code, _, err = call(*argv, "--dataset", "elsewhere/pets")
    assert code == 2 and "other images than pets has now" in err
    assert record.read(the_record(empty_folder)) == first


def test_prepare_takes_a_path_and_decodes_what_a_run_uses(call, empty_folder):
    write_jpegs(empty_folder / "pets", 2)
    code, out, _ = call("data", "prepare", "./pets")
    assert code == 0 and "24 training and 6 test images of 64×64×3, 2 classes" in out
    assert "val/ is used" in out
    code, out, _ = call("data", "prepare", "pets/", "--set", "ResizedPipeline.size=8")
    assert code == 0 and "of 8×8×3" in out
    code, out, _ = call("data", "prepare", "./pets", "--recipe", "imagenet_resnet50")
    assert code == 0 and "24 training and 6 test images, 2 classes" in out
    code, out, _ = call("data", "prepare", "pets", "--data-root", ".")
    assert code == 0 and "of 64×64×3" in out


def test_prepared_images_are_not_decoded_again(call, empty_folder, monkeypatch):
    write_hub(empty_folder / "hub")
    assert call("data", "prepare", "./hub", "--set", "ResizedPipeline.size=8")[0] == 0

    def decoded(*args):
        raise AssertionError("decoded again")

    monkeypatch.setattr("dstbench.data.sources.parquet.decode_splits", decoded)
    code, _, err = call(*RUN, *SMALL, "--dataset", "./hub", "--set", "Run.protocol='all_images'")
    assert code == 0, err


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (RUN, ["no dataset 'images'", "give its path"]),
        ((*RUN, "--dataset", "pets"), ["no dataset 'pets'", "./pets"]),
        ((*RUN, "--dataset", "./pets", "--set", "ResizedPipeline.size=0"), ["at least 1 pixel"]),
        ((*RUN, "--dataset", "digits"), ["8 × 8 pixels", "ResizedPipeline.size=8"]),
        ((*RUN, "--dataset", "./one"), ["one class, cat"]),
        ((*RUN[:2], "--dataset", "./pets"), ["one size", "--recipe images"]),
        (("data", "prepare", "./one.png"), ["is a file"]),
        (("data", "prepare", "no/such"), ["no such folder"]),
    ],
)
def test_mistakes_end_in_one_message(call, empty_folder, argv, words):
    write_jpegs(empty_folder / "pets", 2)
    write_folder(empty_folder / "one")
    for split in ("train", "test"):
        shutil.rmtree(empty_folder / "one" / split / "dog")
    (empty_folder / "one.png").touch()
    code, _, err = call(*argv)
    assert code == 2 and "Traceback" not in err
    assert all(word in err for word in words), err
