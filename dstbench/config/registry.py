"""Registry of the classes that gin files may name.

    @register("parts")
    class RigL(DropGrow): ...

makes `@RigL()` and `RigL.drop_fraction = ...` valid gin. Names are unique.
"""

from collections.abc import Callable
from typing import Any, TypeVar

import gin

from dstbench.errors import UserError, did_you_mean

# Arguments that a run passes to a model's constructor from the dataset; gin may not set them.
SUPPLIED = ("num_classes", "in_channels", "image_size")

GROUPS = (
    "run", "parts", "activations", "models", "optimizers", "schedules", "pipelines", "tables",
)  # fmt: skip

INTERACTIVE = "__main__"  # the module of a notebook's cells, and of a script

T = TypeVar("T", bound=Callable[..., object])
_classes: dict[str, tuple[str, Any]] = {}  # a model may be a function that returns the network


def register(group: str) -> Callable[[T], T]:
    """Register the decorated class under its own name; a model may be a function.

    group: one of GROUPS.

    Defining a class of a notebook again replaces it.

    Raises UserError when another class has the name, or the group does not exist.
    """
    if not isinstance(group, str) or group not in GROUPS:
        group = str(group)
        raise UserError(f"no group {group!r} to register in.{did_you_mean(group, GROUPS)}")

    def decorate(cls: T) -> T:
        if group != "models" and not isinstance(cls, type):
            raise UserError(f"{cls!r} is no class. Only a model may be a function.")
        name = cls.__name__  # type: ignore[attr-defined]
        taken = _classes[name][1] if name in _classes else None
        again = taken is not None and taken.__module__ == cls.__module__ == INTERACTIVE
        if taken is not None and not again:
            raise UserError(
                f"{name} is registered twice: in {taken.__module__} and in {cls.__module__}. "
                "Give one of them another name."
            )
        # A notebook's cell that is run again, or a plugin that failed and was mended, replaces its
        # earlier class, which gin refuses otherwise.
        with gin.config.interactive_mode():
            gin.register(cls, module="dstbench")
        _classes[name] = (group, cls)
        return cls

    return decorate


def lookup(name: str) -> Any:
    """Return the class, or the function of a model, registered under `name`.

    Raises UserError, with the nearest name.
    """
    if name not in _classes:
        raise UserError(
            f"nothing is registered as {name!r}.{did_you_mean(name, _classes)} To use a class of "
            "your own, load its file with --plugin FILE.py, in Python plugins=['FILE.py']."
        )
    return _classes[name][1]


def refuse_incomplete(cls: Any) -> None:
    """Raise UserError for a class that lacks methods which its base class leaves to it."""
    if missing := sorted(getattr(cls, "__abstractmethods__", ())):
        raise UserError(f"{cls.__name__} lacks {', '.join(missing)}. Define it in the class.")


def refuse_stranger(given: Any, group: str) -> None:
    """Check that a class or function is the one that is registered in a group under its name.

    Raises UserError, with what to do, for one that is not registered, or that a later one replaced.
    """
    name = getattr(given, "__name__", None)
    if not callable(given) or name is None:
        raise UserError(f"{given!r} is no class. Give a name, or a class registered in {group!r}.")
    if name not in names(group):
        raise UserError(f"{name} is not registered. Write @dstbench.register({group!r}) above it.")
    if lookup(name) is not given:
        raise UserError(
            f"another {name} is registered than the one that is given: it was defined again, or "
            "has the name of one of the suite. Give that one, or register yours by another name."
        )


def names(group: str) -> list[str]:
    """Return the registered names of one group, sorted."""
    return sorted(name for name, (g, _) in _classes.items() if g == group)


def forget(module: str) -> None:
    """Take back what a module registered whose import failed."""
    for name in registered_in(module):
        del _classes[name]


def registered_in(module: str) -> dict[str, Any]:
    """Return name → class or function of what a module registered."""
    return {name: cls for name, (_, cls) in _classes.items() if cls.__module__ == module}
