"""ControlService: how schedulers and people outside of the driver watch, steer and drive a pool.

    coordinator ── Observer ──▶ Book        what there is: studies, trials, workers
         ▲                        └──▶ Feed     numbered events, for clients that watch
         │ events
    ControlService ◀── gRPC, on the coordinator's loop, a port of its own ──▶ ControlClient, any other client

    options.py           Control: settings of a pool's control service
    credentials.py       its tokens and its certificate: given, read, or made
    host_addresses.py    names and addresses by which others reach this host
    server.py            the server: its port, who may call, what else it serves
    standard_services.py health checking and reflection
    service.py           the calls; each is a few lines
    read_only_calls.py   those that only look
    story_call.py        what happened to a trial or a worker
    steering_calls.py    those that change something
    evaluation.py        an evaluation, for the one who has opened it
    book.py              what there is, kept as it happens
    book_records.py      its record of each study, trial, attempt and worker
    feed.py              numbered events, and the clients that watch them
    messages.py          both as messages

It knows the coordinator, the core and the wire; nothing of it is ever unpickled.

A record of the book holds what the machine forgets or never knew; the state of a trial or a worker is
asked of the machine for as long as it knows, so that nothing has to be kept in step. The feed has no
queue for anybody: a watcher is a place in what is kept, so an event costs the same however many watch. A
point from outside lies in the study's inbox until the search looks there, in its own thread; a stop is
known to the search before it looks.

An evaluation's points come over a stream and become trials of a study whose end lives on the
coordinator's loop:

    client ── Evaluate ──▶ queue of its stream ── in turns ──▶ core ──▶ objective ──▶ JSON ──▶ client

The core has twice as many of a study's points as may run at once, so that a free worker has its next
without asking. A stream has a window of points without an answer, and 16 MiB of them; beyond that it is
not read. Answers are kept for a client that asks again, by the client's id of the point and the digest of
its values.
"""

from sparkopt.control.options import Control
from sparkopt.control.server import ControlServer

__all__ = ["Control", "ControlServer"]
