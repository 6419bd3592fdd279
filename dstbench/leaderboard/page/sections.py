"""The rest of the page: figures, what is not shown and why, how to reproduce a cell."""

from collections.abc import Mapping, Sequence

from dstbench.figures.drawing import size
from dstbench.figures.run_data import Setting
from dstbench.figures.series import Plot
from dstbench.leaderboard.board import Board
from dstbench.leaderboard.page.html import Html, join, path, tag


def figures(drawn: Mapping[Setting, Sequence[Plot]]) -> Html | None:
    """The pictures of every setting, to be opened one setting at a time."""
    if not drawn:
        return None
    groups = [_setting(setting, every, i == 0) for i, (setting, every) in enumerate(drawn.items())]
    return tag("section", tag("h2", "Figures"), *groups, id="figures")


def refused(board: Board) -> Html | None:
    """Records that no table shows, each with the reason."""
    lines = [
        tag("li", entry.reason, tag("ul", *(tag("li", tag("code", name)) for name in entry.names)))
        for entry in board.refused
    ]
    if board.hidden:
        names = [tag("li", tag("a", r.name, href=path(r.link))) for r in board.hidden]
        why = (
            "The epoch was chosen on the test images. To see them, marked: "
            "dstbench leaderboard --selected-on-test."
        )
        lines.append(tag("li", why, tag("ul", *names)))
    if not lines:
        return None
    return tag("section", tag("h2", "Not shown"), tag("ul", *lines), id="refused")


def reproduce() -> Html:
    """How a number of this page is got again."""
    steps = [
        join("Find its row in ", tag("a", "All cells", href="#cells"), " and open its records: "
             "each seed's record names the command, the commit, the versions and the device."),
        join("Check out that commit and type the command. In fp32 on a CPU, with the same versions "
             "and number of threads, it gives the same number to the last digit; elsewhere, one "
             "within the spread of seeds."),
        join("The whole configuration is in the record, under ", tag("code", "config.text"),
             ". The files here are what the records give: ",
             tag("code", "dstbench leaderboard --check", tabindex="0"), "."),
    ]  # fmt: skip
    return tag(
        "section",
        tag("h2", "How to reproduce a number"),
        tag("ol", *(tag("li", step) for step in steps)),
        id="reproduce",
    )


def _setting(setting: Setting, every: Sequence[Plot], is_open: bool) -> Html:
    how = f"{setting.recipe} · {setting.protocol} · {setting.precision}"
    return tag(
        "details",
        tag("summary", f"{setting.dataset} · {setting.model} ", tag("span", how, class_="small")),
        tag("div", *(_figure(setting, plot) for plot in every), class_="figures"),
        open=is_open,
        class_="setting",
        data_dataset=setting.dataset,
        data_model=setting.model,
    )


def _figure(setting: Setting, plot: Plot) -> Html:
    picture = path("figures", setting.slug, f"{plot.name}.svg")
    alternative = f"{plot.title}: {setting.dataset}, {setting.model}"
    formats = join(
        tag("a", "SVG", href=picture),
        tag("a", "PNG", href=path("figures", setting.slug, f"{plot.name}.png")),
        by=" · ",
    )
    width, height = (round(100 * inches) for inches in size(plot))
    image = tag("img", src=picture, alt=alternative, width=width, height=height, loading="lazy")
    box = tag("div", image, class_="picture", tabindex="0", role="region", aria_label=alternative)
    caption = tag("figcaption", tag("strong", plot.title), " ", plot.caption, " ", formats)
    return tag("figure", box, caption, class_="wide" if len(plot.panels) > 1 else None)
