"""Protobuf without any message of ours, for processes that are forked into others that need it.

A process that has loaded a message cannot load another version's message of the same name. So Spark's Python
process, which serves one driver after the other, loads this, and its children load :mod:`sparkopt.wire.v1`.
"""

from google.protobuf import descriptor_pool, symbol_database  # noqa: F401
from google.protobuf.internal import builder  # noqa: F401
