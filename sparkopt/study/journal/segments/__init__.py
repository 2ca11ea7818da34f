"""A journal as a log of whole objects, in any store that can put, get, list and delete them.

    SegmentJournal ── records ──▶ LogThread ── operations of SegmentLog ──▶ ObjectStore
     (coordinator's and             one thread: one put at a time            a directory, S3, GCS,
      study's thread)                                                        Azure, HDFS, fsspec's

    object_format.py    names of objects, and their seals
    log_records.py      what an object holds
    segment_log.py      which objects count, and who may write: generators of requests, without I/O
    object_stores.py    interface of a store; directories
    arrow_store.py      stores that PyArrow reaches
    store_calls.py      requests made in a store, which may fail for a while, or never answer
    log_thread.py       when segments and snapshots are written
    segment_journal.py  the journal for a search

What has happened to a trial is known to the study at once, and is in the store a quarter of a second and one
put later. See docs/decisions/0014-a-journal-is-a-log-of-whole-objects.md.
"""
