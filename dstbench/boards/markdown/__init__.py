"""The board as markdown files, as GitHub renders them.

text.py             escaping, links, tables
accuracy_blocks.py  blocks of accuracies
value_tables.py     the tables of costs, speeds and trials
table_file.py       one table of the board, as a file
overview.py         README.md
"""
