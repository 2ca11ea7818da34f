"""An S3 of the tests' own: moto's server on loopback, in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from contextlib import contextmanager

_SERVER = """
import re, sys, threading
from werkzeug.serving import make_server
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

storage = DomainDispatcherApplication(create_backend_app)

def delayed(environment, respond):
    delay = re.match(r"/searches/put-(\\d+)-ms/", environment["PATH_INFO"])
    if delay and environment["REQUEST_METHOD"] == "PUT":
        threading.Event().wait(int(delay[1]) / 1000)
    return storage(environment, respond)

server = make_server("127.0.0.1", 0, delayed, threaded=True)
sys.stdout.write(f"{server.server_port}\\n")
sys.stdout.flush()
server.serve_forever()
"""


@contextmanager
def object_storage():
    """A function that makes addresses of places in a bucket, for as long as the server runs.

    A put below ``put-50-ms/`` takes fifty milliseconds longer.
    """
    from pyarrow import fs

    command = [sys.executable, "-c", _SERVER]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        try:
            port = int(server.stdout.readline())
            store = fs.S3FileSystem(
                access_key="tests",
                secret_key="hidden",
                region="us-east-1",
                scheme="http",
                endpoint_override=f"127.0.0.1:{port}",
                allow_bucket_creation=True,
            )
            store.create_dir("searches")

            def address(path):
                return (
                    f"s3://tests:hidden@searches/{path}?region=us-east-1&scheme=http"
                    f"&endpoint_override=127.0.0.1:{port}"
                )

            address.store = store
            yield address
        finally:
            server.kill()
