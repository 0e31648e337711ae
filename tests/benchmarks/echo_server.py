"""The peer of order entry: a grpc.aio server that gives back the bytes it gets and does nothing else."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator

import grpc

SERVICE = "bench.Echo"


async def unary(request: bytes, _context: object) -> bytes:
    """Give the request back."""
    return request


async def stream(requests: AsyncIterator[bytes], _context: object) -> AsyncIterator[bytes]:
    """Give each message back."""
    async for request in requests:
        yield request


async def serve() -> None:
    """Serve until standard input closes; print the port first."""
    server = grpc.aio.server(
        options=[("grpc.so_reuseport", 0), ("grpc.max_receive_message_length", 64 << 20)]
    )
    handlers = {
        "Unary": grpc.unary_unary_rpc_method_handler(unary),
        "Stream": grpc.stream_stream_rpc_method_handler(stream),
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
    print(server.add_insecure_port("127.0.0.1:0"), flush=True)
    await server.start()
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    await server.stop(0)


if __name__ == "__main__":
    asyncio.run(serve())
