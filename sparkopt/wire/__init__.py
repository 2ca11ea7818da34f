"""Messages and payloads that cross the wire, and their limits.

v1/            generated from proto/sparkopt/v1 by scripts/protos
limits.py      sizes, keepalive, and the channel options made of them
codec.py       Python objects to bytes and back
convert.py     messages to the core's words and back
statuses.py    exceptions to gRPC status codes
status_details.py  details of a status
tokens.py      the token that every call carries
modules/       the user's own modules, which go along with an objective
"""
