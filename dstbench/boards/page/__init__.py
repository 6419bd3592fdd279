"""The board as one static page, index.html, with tables that sort and filter.

render_page.py   values for the templates
page_values.py   column groups, all cells, links and ids
templates/       page.html, which includes the others; macros.html
page.css         style
page.js          sorting, filtering, light and dark
"""
