"""ControlService: how schedulers and people outside of the driver watch, steer and drive a pool.

    coordinator ── Observer ──▶ Book        what there is: studies, trials, workers
         ▲                        └──▶ Feed     what happens, numbered, for who watches
         │ events
    ControlService ◀── gRPC, on the coordinator's loop, a port of its own ──▶ ControlClient, any other client

    options.py           Control: settings of a pool's control service
    credentials.py       its tokens and its certificate: given, read, or made
    host_addresses.py    names and addresses by which others reach this host
    server.py            the server: its port, who may call, what else it serves
    service.py           the calls; each is a few lines
    read_only_calls.py   those that only look
    story_call.py        what happened to a trial or a worker
    steering_calls.py    those that change something
    book.py              what there is, kept as it happens
    book_records.py      its record of each study, trial, attempt and worker
    feed.py              what happens, numbered, and who watches it
    messages.py          both as messages

It knows the coordinator, the core and the wire; nothing of it is ever unpickled.
"""

from sparkopt.control.options import Control
from sparkopt.control.server import ControlServer

__all__ = ["Control", "ControlServer"]
