"""Notebooks: a search's bar in a cell, objects as HTML, and an interrupt in one line.

cell_output.py     whether this is a notebook, and an output of a cell that changes in place
search_cell.py     a running search in a cell: counts, running trials, values, the time that is left
interrupts.py      an interrupted cell without a traceback of internals
markup.py          pieces of HTML, with everything escaped; loss_curve.py, losses as a picture
pool_html.py       a pool of workers as HTML

Nothing here needs ipywidgets, a style sheet or a script: HTML with inline styles and colours that can be read
on light and on dark. IPython is never imported; where there is a notebook, it is loaded already.
"""
