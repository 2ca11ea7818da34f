"""Dashboard of searches: Optuna's plots of them, and a page of ours beside these, in a process of its own.

    control service ── list, watch ──▶ SearchFollower ──┐
    journal ── read once ──▶ JournalMirror ─────────────┴──▶ Mirror ──▶ Optuna storage
                                                               │                 │
                                workers, running trials ──▶ SearchPage   optuna-dashboard
                                                               │                 │
    browser ◀── cheroot ◀── Gate ◀── AnswerCache, gzip ◀── Application ◀─────────┘

    mirror.py           trials of all searches, in an Optuna storage in memory
    roomy_dimensions.py ranges of parameters that nobody has told
    search_follower.py  one search, followed through its control service
    journal_mirror.py   one search, from its journal
    search_page.py      the page of ours: what runs where, and what somebody may do about it
    page_texts.py       pages as text, around the files in assets/
    http_answers.py     answers of WSGI applications
    application.py      which part answers which address
    gate.py             who may read, and who may act
    sessions.py         who has shown a token
    host_names.py       the names that requests may call this server by
    compressed.py       gzip
    answer_cache.py     answers of plots that are asked for again
    web_server.py       the server, with TLS off loopback
    dashboards.py       all of it, put together
    child.py            the process of a ``SparkTrials(dashboard=True)``

optuna-dashboard takes any Host header, has no token, and lets anybody who can reach it delete a study. So
nothing comes to it but GET and HEAD that the gate has let through.
"""
