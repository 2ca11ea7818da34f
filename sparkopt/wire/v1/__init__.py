"""Generated from proto/sparkopt/v1 by scripts/protos; not edited by hand."""
