"""Renders the leaderboard as one static page; the same board gives the same bytes.

The page loads nothing but pictures beside it: style and script are inline, and a
Content-Security-Policy allows only these, by hash. Templates escape every value (autoescape).
Without JavaScript the page shows everything.
"""

import shlex

from jinja2 import Environment

from dstbench.boards.board import Board
from dstbench.boards.board_figures import plots_by_setting
from dstbench.boards.formatting import (
    GROUPS,
    LINKED,
    MISSING,
    accuracy_text,
    cost_text,
    fraction_text,
    learned_text,
    origin_text,
    paper_text,
    seeds_text,
    signed,
)
from dstbench.boards.page import page_values
from dstbench.boards.table_columns import (
    COST_COLUMNS,
    SPEED_COLUMNS,
    TRIAL_COLUMNS,
    TRIALS_NOTE,
    shown_columns,
)
from dstbench.boards.trials import trials_text
from dstbench.figures.draw_plots import figure_size
from dstbench.figures.styles import in_display_order, style_of
from dstbench.sparsity import percent
from dstbench.utils.web_page import inline, templates


def render_page(board: Board) -> str:
    """Return the content of index.html, to be written beside `records/` and `figures/`."""
    keys = page_values.all_keys(board)
    every = [*keys, *(result.key for result in board.trials)]
    return (
        _environment()
        .get_template("page.html")
        .render(
            board=board,
            method_count=len({result.key.method for result in board.results or board.runs}),
            setting_count=len({result.key.column.setting for result in board.runs}),
            filters={
                "method": in_display_order(key.method for key in keys),
                "dataset": sorted({key.column.dataset for key in every}),
                "model": sorted({key.column.model for key in every}),
                "sparsity": page_values.sparsity_texts(every),
            },
            figures=plots_by_setting(board),
            cells=page_values.all_cells(board),
            style=inline(__package__, "page.css"),
            script=inline(__package__, "page.js"),
        )
    )


def _environment() -> Environment:
    environment = templates(__package__, "templates")
    environment.filters |= {
        "accuracy": accuracy_text,
        "percent": percent,
        "signed": signed,
        "sort_value": page_values.sort_value,
        "shell": shlex.join,
    }
    environment.globals |= {
        "GROUPS": GROUPS,
        "LINKED": LINKED,
        "MISSING": MISSING,
        "COST_COLUMNS": COST_COLUMNS,
        "shown_columns": shown_columns,
        "SPEED_COLUMNS": SPEED_COLUMNS,
        "TRIAL_COLUMNS": TRIAL_COLUMNS,
        "TRIALS_NOTE": TRIALS_NOTE,
        "trials_text": trials_text,
        "cell_id": page_values.cell_id,
        "column_groups": page_values.column_groups,
        "figure_size": figure_size,
        "cost_text": cost_text,
        "fraction_text": fraction_text,
        "learned_text": learned_text,
        "origin_text": origin_text,
        "paper_text": paper_text,
        "path": page_values.relative_path,
        "plural": page_values.plural,
        "seeds_text": seeds_text,
        "style_of": style_of,
    }
    return environment
