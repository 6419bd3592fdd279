"""Records → tables, figures and a page, the same to the byte wherever they are rendered.

Needs neither torch nor MLflow, so that any laptop can check what a leaderboard claims.

cells.py     the data: results, cells, blocks, tables, the board
results.py   record files → results, and what is refused
board.py     results, grids and the paper's numbers → the board
"""
