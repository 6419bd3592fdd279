"""Folders are walked as torchvision's ImageFolder does; what is passed over is counted."""

import pytest
from torchvision.datasets.folder import IMG_EXTENSIONS, ImageFolder

from dstbench.data.sources.walk import ENDINGS, PassedOver, holds_images, images_below
from dstbench.errors import UserError


def touch(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def test_images_are_those_of_torchvision(tmp_path):
    assert set(ENDINGS) == set(IMG_EXTENSIONS)
    names = [f"cat/{i}{ending}" for i, ending in enumerate(ENDINGS)]
    touch(tmp_path, *names, "cat/A.PNG", "cat/more/30.png", "cat/more/still/31.Tif", "cat/x.txt")
    (tmp_path / "cat/linked").symlink_to(touch(tmp_path / "elsewhere", "32.png"))
    found = images_below(tmp_path / "cat", PassedOver(tmp_path))
    theirs = [path for path, label in ImageFolder(tmp_path, allow_empty=True).samples if not label]
    assert sorted(map(str, found)) == sorted(theirs) and len(found) == len(ENDINGS) + 4


def test_hidden_files_are_skipped_and_others_counted(tmp_path):
    touch(tmp_path, "cat/1.png", "cat/._1.png", "cat/.DS_Store", "cat/.cache/2.png")
    touch(tmp_path, "cat/__MACOSX/3.png", "cat/a.txt", "cat/b.TXT", "cat/more/c")
    passed_over = PassedOver(tmp_path)
    assert images_below(tmp_path / "cat", passed_over) == [tmp_path / "cat/1.png"]
    (note,) = passed_over.notes()
    for words in ("3 files", ".txt: 2", "no ending: 1", "cat/a.txt"):
        assert words in note
    assert PassedOver(tmp_path).notes() == []


def test_links_that_form_a_circle_are_refused(tmp_path):
    touch(tmp_path, "cat/1.png")
    (tmp_path / "cat/up").symlink_to("..")
    with pytest.raises(UserError, match=r"cat/up links to .*, a folder above it"):
        images_below(tmp_path / "cat", PassedOver(tmp_path))


def test_folders_are_searched_for_images_down_to_a_depth(tmp_path):
    touch(tmp_path, "a/b/c/1.png")
    assert holds_images(tmp_path, 3) and not holds_images(tmp_path, 2)
