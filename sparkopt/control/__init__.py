"""ControlService: how schedulers and people outside of the driver watch, steer and drive a pool.

    coordinator ── Observer ──▶ Book        what there is: studies, trials, workers
         ▲                        └──▶ Feed     what happens, numbered, for who watches
         │ events
    ControlService ◀── gRPC, on the coordinator's loop, a port of its own ──▶ ControlClient, any other client

    options.py     Control: what a pool is told of it
    credentials.py its tokens and its certificate: given, read, or made
    server.py      the server: its port, who may call, what else it serves
    service.py     the calls; each is a few lines
    watching.py    those that only look
    steering.py    those that change something
    book.py        what there is, kept as it happens
    records.py     what is kept of each study, trial and worker
    feed.py        what happens, numbered, and who watches it
    messages.py    both as messages

It knows the coordinator, the core and the wire; nothing of it is ever unpickled.
"""

from sparkopt.control.options import Control
from sparkopt.control.server import ControlServer

__all__ = ["Control", "ControlServer"]
