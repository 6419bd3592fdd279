"""The command that prints the class of image files."""

import sys

import numpy as np
import pytest
from helpers.deploy_networks import IMAGE, random_net
from PIL import Image

from dstbench.deployment import load
from dstbench.deployment.compiler.compile import compile_network
from dstbench.deployment.runtime.classify import main
from dstbench.deployment.runtime.program_file import write_bytes

ABOUT = {"classes": ["cat", "dog", "ca\x1bt"], "mean": [0.5, 0.4, 0.3], "std": [0.2, 0.3, 0.4]}
PIXELS = np.random.default_rng(0).integers(0, 256, (9, 7, 3)).astype(np.uint8)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    content = write_bytes(compile_network(random_net(5), IMAGE, ABOUT))
    (tmp_path / "network.dst").write_bytes(content)
    np.save(tmp_path / "image.npy", PIXELS)
    Image.fromarray(PIXELS).save(tmp_path / "image.png")
    Image.fromarray(PIXELS[:5]).save(tmp_path / "small.png")
    np.save(tmp_path / "small.npy", PIXELS[:5])
    np.save(tmp_path / "objects.npy", np.array([{}]), allow_pickle=True)
    Image.fromarray(PIXELS[..., 0].astype(np.uint16) * 257).save(tmp_path / "deep.png")
    (tmp_path / "text.png").write_text("no image")
    (tmp_path / "text.npy").write_text("")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_class_and_probability_of_images_are_printed(folder, capsys):
    main(["network.dst", "image.png", "image.npy"])
    lines = capsys.readouterr().out.splitlines()
    logits = load("network.dst")(PIXELS[None])[0].astype(np.float64)
    probability = np.exp(logits).max() / np.exp(logits).sum()
    name = ["cat", "dog", "ca\\x1bt"][logits.argmax()]
    shown = f"  {name}  {100 * probability:.1f} %"
    assert lines == ["image.png" + shown, "image.npy" + shown]


@pytest.mark.parametrize(
    "files, message",
    [
        (["network.dst", "small.png"], "small.png: is 7×5; this network takes 7×9. Crop"),
        (["network.dst", "small.npy"], "uint8 of shape [5, 7, 3]; this network takes uint8 [9, 7"),
        (["network.dst", "objects.npy"], "objects.npy: cannot be read"),
        (["network.dst", "text.npy"], "text.npy: cannot be read"),
        (["network.dst", "text.png"], "text.png: is no image that pillow reads"),
        (["network.dst", "deep.png"], "deep.png: has more than 8 bits a channel"),
        (["network.dst", "missing.png"], "missing.png: is no image that pillow reads"),
        (["image.npy", "image.npy"], "image.npy: is not a network that dstbench compiled"),
    ],
)
def test_bad_input_is_refused_in_one_line(folder, capsys, files, message):
    with pytest.raises(SystemExit) as exit:
        main(files)
    out, err = capsys.readouterr()
    assert exit.value.code == 2 and not out
    assert err.startswith("dstbench_runtime: ") and message in err and err.count("\n") == 1


def test_image_files_need_pillow_and_arrays_do_not(folder, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL", None)
    main(["network.dst", "image.npy"])
    with pytest.raises(SystemExit) as exit:
        main(["network.dst", "image.png"])
    assert exit.value.code == 2 and "pip install pillow" in capsys.readouterr().err
