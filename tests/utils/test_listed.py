import pytest

from dstbench.utils.listed import listed


@pytest.mark.parametrize(
    "count, text",
    [(0, ""), (1, "0"), (2, "0, 1"), (3, "0, 1 and 1 more"), (2002, "0, 1 and 2,000 more")],
)
def test_the_first_names_are_listed_and_the_others_counted(count, text):
    assert listed([str(i) for i in range(count)], 2) == text
