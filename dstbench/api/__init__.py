"""The Python interface: what `import dstbench` offers beside the classes of a method's author.

choices.py     keyword arguments → the choices that define a run
train.py       run: one run, from start to Result
result.py      Result and load: a run that is over
costs.py       cost: what a network costs, without training
tables.py      records: run folders as a DataFrame
grids.py       sweep: the runs of a grid; leaderboard: its tables
networks.py    deploy: a finished network as small files
notebook.py    progress in a notebook

The command line calls the same functions.
"""
