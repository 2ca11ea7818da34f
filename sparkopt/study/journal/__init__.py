"""A search's journal: every trial that was submitted, started, reported on and settled survives the driver.

    study ───────▶ submitted ──▶ ┐    on a local disk: one SQLite file, write-ahead log, one connection,
    coordinator ─▶ started      │      one lock; written before anybody acts on it
                   reported     ├─▶
                   settled ────▶ ┘    anywhere else: a log of whole objects, written behind the search's back
    the same search again ◀── entries, the front end's state

    places.py          which of the two a path or an address gets
    search_journal.py  what both have in common
    segments/          the log of whole objects
    contents.py        contents of a journal, read-only; copies of journals
    described_dimensions.py  the search's space as text, for those who look at it

    For the file of SQLite's:
    holding.py      only one search has it at a time
    inspection.py   looks at it without writing: is it a journal, what is whole, what is damaged
    pages.py        reads a damaged one
    database.py     makes it and opens it for writing
    rows.py         its rows and their seals; first_format.py those of the first format
    journal.py      reads and writes it for a search

In the file each call is a transaction. It survives the end of the process, whatever ended it; a crash of the
machine may cost the last moments (SQLite's ``synchronous=NORMAL``). What is too large for a message lies in
files beside the journal. A trial that was cancelled has not settled for the journal: the next search runs it.
"""

from sparkopt.study.journal.described_dimensions import dimensions_to_text
from sparkopt.study.journal.identity import Identity, name_of
from sparkopt.study.journal.journal import Journal
from sparkopt.study.journal.places import check_place, is_address, open_journal, shown, without_secrets
from sparkopt.study.journal.search_journal import Entry, SavedState, SearchJournal, gaps

__all__ = [
    "Entry",
    "Identity",
    "Journal",
    "SavedState",
    "SearchJournal",
    "check_place",
    "dimensions_to_text",
    "gaps",
    "is_address",
    "name_of",
    "open_journal",
    "shown",
    "without_secrets",
]
