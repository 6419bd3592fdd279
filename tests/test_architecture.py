"""docs/architecture.md lists every package, the layers of pyproject.toml, and files that exist."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "docs" / "architecture.md").read_text()


def test_architecture_lists_every_package():
    folders = {path.parent for path in (ROOT / "dstbench").rglob("__init__.py")}
    packages = {f"{f.relative_to(ROOT)}/" for f in folders} - {"dstbench/"}
    listed = re.findall(r"^\| `(dstbench/[\w/]+/)` \|", TEXT, re.MULTILINE)
    assert sorted(listed) == sorted(packages)


def test_architecture_names_existing_files():
    paths = re.findall(r"`([\w.-]+/[\w./-]*)`", TEXT)
    assert len(paths) > 60
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_architecture_shows_the_layers_of_import_linter():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    (layers,) = [c["layers"] for c in settings["contracts"] if c["type"] == "layers"]
    drawn = re.findall(r"^    (\w+(?: \| \w+)*)  ", TEXT, re.MULTILINE)
    assert [layer for layer in layers if layer != "__main__"] == drawn[: len(layers) - 1]


def test_imports_in_strings_and_docs_name_existing_modules():
    """Programs in strings, code blocks and gin files import modules that exist."""
    example = "dstbench.methods.my_method"
    face = (ROOT / "dstbench" / "__init__.py").read_text()
    files = [*ROOT.glob("*.md")]
    for folder in ("docs", "gin", "methods", "benchmarks", "tests"):
        files += [f for f in (ROOT / folder).rglob("*") if f.suffix in (".py", ".md", ".gin")]
    missing = []
    for file in files:
        text = file.read_text()
        modules = re.findall(r"(?:from|import) (dstbench(?:\.\w+)+)", text)
        names = re.findall(r"from dstbench import ([a-z]\w+)", text)
        modules += [f"dstbench.{name}" for name in names if name not in face]
        for module in modules:
            path = module.replace("dstbench.methods.", "methods.").replace(".", "/")
            if not ((ROOT / path).is_dir() or (ROOT / f"{path}.py").is_file()):
                missing.append(f"{file.relative_to(ROOT)}: {module}")
    assert [line for line in missing if not line.endswith(example)] == []
