"""Prints requirements from pyproject.toml, without torch, which is large.

python .ci/requirements.py lowest      # of the fast tests: every lower bound, exactly
python .ci/requirements.py types       # of mypy, as new as there is
"""

import sys
import tomllib
from pathlib import Path

content = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))
extras, groups = content["project"]["optional-dependencies"], content["dependency-groups"]
lowest = sys.argv[1] == "lowest"
names = [*content["project"]["dependencies"], *extras["native"], *extras["plots"]]
names += groups["test"] if lowest else [n for n in groups["dev"] if str(n).startswith("mypy")]
names = [name for name in names if not name.startswith("torch")]
print(*(name.replace(">=", "==") if lowest else name for name in names), sep="\n")
