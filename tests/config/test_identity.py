"""The identity of a run: which parameters are in its text, and so in its hash."""

from typing import ClassVar

from dstbench.config.registry import register
from dstbench.config.resolver import Config


@register("parts")
class Earlier:
    def __init__(self, rate: float = 0.5):
        self.rate = rate


@register("parts")
class Extended(Earlier):
    """Has a parameter that runs recorded earlier did not have."""

    omitted_at_default: ClassVar[tuple[str, ...]] = ("added",)

    def __init__(self, rate: float = 0.5, added: int = 1):
        super().__init__(rate)
        self.added = added


@register("parts")
class ExtendedAgain(Extended):
    omitted_at_default: ClassVar[tuple[str, ...]] = ("late",)

    def __init__(self, rate: float = 0.5, added: int = 1, late: str | None = None):
        super().__init__(rate, added)
        self.late = late


def resolved(root, *lines):
    config = Config(root)
    config.add_text("\n".join(lines), "test.gin")
    return config.resolve()


def settings(root, *lines):
    return [line for line in resolved(root, *lines).text.splitlines() if " = " in line]


def test_every_parameter_is_in_the_identity():
    assert settings("Earlier") == ["Earlier.rate = 0.5"]


def test_a_later_parameter_is_left_out_at_its_default():
    assert settings("Extended") == ["Extended.rate = 0.5"]
    assert settings("Extended", "Extended.added = 1") == ["Extended.rate = 0.5"]
    assert resolved("Extended").sha256 == resolved("Extended", "Extended.added = 1").sha256


def test_a_later_parameter_counts_once_it_is_changed():
    assert settings("Extended", "Extended.added = 2") == [
        "Extended.added = 2",
        "Extended.rate = 0.5",
    ]


def test_subclasses_leave_out_what_their_bases_do():
    assert settings("ExtendedAgain") == ["ExtendedAgain.rate = 0.5"]
    lines = settings("ExtendedAgain", "ExtendedAgain.late = 'x'", "ExtendedAgain.added = 3")
    assert "ExtendedAgain.late = 'x'" in lines and "ExtendedAgain.added = 3" in lines


def test_a_run_of_a_text_without_a_later_parameter_is_the_same_run():
    text = resolved("Extended").text
    config = Config("Extended")
    config.add_text(text, "run.gin")
    again = config.resolve()
    assert again.text == text and config.build(again).added == 1
