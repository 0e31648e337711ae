"""Pure: what is sent, to whom, when and how often. No I/O, no asyncio, no protobuf, no clock."""
