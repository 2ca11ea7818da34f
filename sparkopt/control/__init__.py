"""ControlService: how schedulers and people outside of the driver watch, steer and drive a pool.

    coordinator ── Observer ──▶ Book        what there is: studies, trials, workers
         ▲                        └──▶ Feed     what happens, numbered, for who watches
         │ events
    ControlService ◀── gRPC, on the coordinator's loop, a port of its own ──▶ ControlClient, any other client

    options.py     Control: what a pool is told of it
    credentials.py its tokens and its certificate: given, read, or made
    server.py      the server: its port, who may call, what else it serves
    service.py     the calls; each is a few lines

It knows the coordinator, the core and the wire; nothing of it is ever unpickled.
"""

from sparkopt.control.options import Control
from sparkopt.control.server import ControlServer

__all__ = ["Control", "ControlServer"]
