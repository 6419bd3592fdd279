"""Overrides: gin bindings given as text, by `--set NAME=VALUE` or by a grid's Section.bindings.

Names and types are checked later, with all other bindings (bindings.py, type_check.py).
"""

from dstbench.config.gin_file import Binding, read_text
from dstbench.errors import UserError


def parse_override(text: str, where: str) -> list[Binding]:
    """Return the bindings of one override.

    text: one binding, such as "RigL.drop_fraction=0.3".
    where: how messages name it, such as "--set 'RigL.drop_fraction=0.3'".

    Raises UserError for text that is not a binding.
    """
    if "=" not in text:
        raise UserError(f"{where}: expected NAME=VALUE, such as RigL.drop_fraction=0.3.")
    return read_text(text, where)
