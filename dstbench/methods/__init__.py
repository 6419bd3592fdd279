"""The bridge to the methods: one room each, in the `methods/` folder at the top of a checkout.

A wheel carries that folder inside this package. In a checkout it stands beside the package, so
its path is added here; either way a method is imported as `dstbench.methods.<name>`.
"""

from pathlib import Path

_checkout = Path(__file__).resolve().parents[2]
if (_checkout / "pyproject.toml").is_file() and (_checkout / "methods").is_dir():
    __path__.append(str(_checkout / "methods"))
