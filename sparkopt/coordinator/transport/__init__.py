"""Transport and trust: servers that listen for callers, and that decide which of them they believe.

    connection ──▶ connections.py      closed, unless a call with a right token comes; found by sockets.py
          call ──▶ authentication.py   the token, before anything of the request is read
               ──▶ calls.py            limits of streams, calls and bytes; peers.py counts for each address
               ──▶ the service         long work of a request goes through time_slices.py
         hello ──▶ identities.py       a worker's name belongs to the holder of its key

    guarded_server.py   gRPC server of one service, with all of these
    service_limits.py   limits that differ from one service to another
    certificates.py     certificate of a pool that is reached over a network

WorkerService and ControlService both listen through it. It knows neither of them, and nothing of studies.
"""
