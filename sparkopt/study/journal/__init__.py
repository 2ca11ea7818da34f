"""A search's journal: every trial that was submitted, started, reported on and settled survives the driver.

    study ───────▶ submitted ──▶ ┐
    coordinator ─▶ started      │  one SQLite file, write-ahead log, one connection, one lock
                   reported     ├─▶ written before anybody acts on it
                   settled ────▶ ┘
    the same search again ◀── entries, the front end's state

    holding.py      only one search has it at a time
    inspection.py   looks at it without writing: is it a journal, what is whole, what is damaged
    pages.py        reads a damaged one
    database.py     makes it and opens it for writing
    rows.py         its rows and their seals; first_format.py those of the first format
    journal.py      reads and writes it for a search; search_journal.py, what is not about files

Each call is a transaction. It survives the end of the process, whatever ended it; a crash of the machine may
cost the last moments (SQLite's ``synchronous=NORMAL``). What is too large for a message lies in files beside
the journal. A trial that was cancelled has not settled for the journal: the next search runs it.
"""

from sparkopt.study.journal.identity import Identity, name_of
from sparkopt.study.journal.journal import Journal
from sparkopt.study.journal.search_journal import Entry, SavedState, SearchJournal, gaps

__all__ = ["Entry", "Identity", "Journal", "SavedState", "SearchJournal", "gaps", "name_of"]
