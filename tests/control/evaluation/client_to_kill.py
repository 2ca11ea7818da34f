"""A client that asks for points and says which of them were answered, until somebody kills it."""

from __future__ import annotations

import json
import sys

import grpc

from sparkopt.wire.tokens import bearer
from sparkopt.wire.v1 import control_pb2, control_pb2_grpc

if __name__ == "__main__":
    task = json.loads(sys.stdin.readline())
    with grpc.insecure_channel(task["address"]) as channel:
        stub = control_pb2_grpc.ControlServiceStub(channel)
        requests = (
            control_pb2.EvaluateRequest(
                id=f"p{number}",
                point=control_pb2.Point(json=json.dumps({"number": number, "file": task["file"]})),
            )
            for number in range(task["points"])
        )
        for answer in stub.Evaluate(requests, metadata=bearer(task["token"])):
            print(answer.id, flush=True)  # noqa: T201
        sys.stdin.read()
