"""The positions domain: pure functions over arrays. No I/O, no clock, no protobuf."""
