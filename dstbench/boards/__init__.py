"""Records → tables, figures and a page; the same records give the same bytes on every machine.

Needs neither torch nor MLflow, so that any laptop can check a leaderboard.

run_sources.py        folders and stores → run folders
collect_runs.py       finished runs → records/ and curves/ (reduce_curves.py)
read_results.py       records → results in cells; contradictory records are rejected
validation.py         what is wrong with a record, and what keeps it from being submitted
cost_files.py         costs/: what `dstbench cost` counted
measurement_files.py  measurements/: what `dstbench measure` timed
paper_numbers.py      paper.json: the paper's tables
trials.py             the trials of a search
build_board.py        all of these → the board; significance.py: what is ahead
cells.py, board.py, row_types.py   the board as data
table_columns.py, formatting.py    what both writers share
markdown/, page/, board_figures.py the board as markdown, as a page, as figures
write_files.py        writes the files, or checks that they are up to date
"""
