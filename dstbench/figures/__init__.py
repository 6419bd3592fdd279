"""Figures of runs, drawn by `dstbench plot` and the leaderboard; same data, same bytes.

load_runs.py     run folders → RunData
define_plots.py  every figure: which metric it shows, its title, labels and caption
gradient_flow.py a line of curves → the sum of its layers' gradient norms
aggregate.py     runs → series (median and range over seeds) in panels by sparsity or method family
plot_data.py     Series, Panel, Plot: all that is drawn, as plain data
styles.py        colour, marker and order of methods
draw_plots.py    Plot → PNG and SVG (matplotlib)
draw_series.py   one series on matplotlib axes
"""
