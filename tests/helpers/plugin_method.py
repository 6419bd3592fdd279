"""A method that a plugin or an installed package brings: its class and its gin file."""


def plugin_class(name):
    """Return the source of a drop-and-grow method called `name`."""
    return f'''
from dstbench.config.registry import register
from dstbench.core.drop_grow import DropGrow


@register("parts")
class {name}(DropGrow):
    """Grows at random."""

    def grow_score(self, state, name):
        return None
'''


def plugin_gin(name):
    """Return the gin file of that method."""
    return f"""
Run.method = @Method()
Method.name = '{name}'
Method.parts = [@ERK(), @{name}()]
ERK.sparsity = %sparsity
{name}.updates_per_run = 4
"""
