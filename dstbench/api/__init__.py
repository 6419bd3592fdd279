"""The Python interface: what `import dstbench` offers beside the classes of a method's author.

choices.py      keyword arguments → the choices that define a run
given_paths.py  paths, given as one, none or several
train.py        run: one run, from start to Result
find_run.py     finds a run's folder by whatever names it
result.py       Result and load: a run that is over
plots.py        a Result's curves as a figure
costs.py        cost: what a network costs, without training
tables.py       records: run folders as a DataFrame
grids.py        sweep: the runs of a grid
board.py        leaderboard: the tables of grids; grid_hashes.py, count_costs.py: what needs torch
compare.py      compare: two finished networks on the same images
networks.py     deploy: a finished network as small files
notebook.py     progress in a notebook

The command line calls the same functions, except for sweeps and comparisons of methods, which it
builds of `sweeps` and `comparison` itself.
"""
