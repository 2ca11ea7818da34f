"""Protobuf without the messages of this package, loaded before processes are forked that need both.

A process that has loaded a message cannot load another version's message of the same name. So Spark's Python
process, which serves one driver after another, loads this module, and its children load the messages, which
are in :mod:`sparkopt.wire.v1`.
"""

from google.protobuf import descriptor_pool, symbol_database  # noqa: F401
from google.protobuf.internal import builder  # noqa: F401
