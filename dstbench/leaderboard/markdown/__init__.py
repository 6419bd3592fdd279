"""The board as markdown files, as GitHub shows them.

text.py       markdown itself: escaping, links, tables
accuracy.py   blocks of cells
cost.py       what networks cost, and how fast they answer
tables.py     a table of the board as one file
overview.py   the README
"""
