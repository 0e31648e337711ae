"""A scripted exchange in this process: a real gRPC server whose answers the test writes."""

from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc
import pytest
import smartex_client
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import Message
from google.rpc import code_pb2, error_details_pb2, status_pb2  # type: ignore[import-untyped, unused-ignore]
from smartex.matching.v1 import market_data_pb2 as md
from smartex.matching.v1 import types_pb2 as types
from smartex_client import Market, RetryPolicy
from smartex_client.connection import path_of

PACKAGE = "smartex.matching.v1"

INSTRUMENT = types.Instrument(
    instrument_id=7,
    symbol="ACME",
    name="Acme",
    currency_code="CNY",
    tick_size="0.01",
    lot_size="1",
    board_lot=1,
    odd_lot_rule=types.ODD_LOT_RULE_NONE,
    settlement=types.SETTLEMENT_T0,
    trading_state=types.TRADING_STATE_OPEN,
)


class Scripted:
    """Answers by method: a function of (request, context), or for streams of (raw, context)."""

    def __init__(self) -> None:
        self.unary: dict[str, tuple[type[Message], Callable[..., Any]]] = {}
        self.streams: dict[str, Callable[..., Any]] = {}
        self.sending: dict[str, tuple[type[Message], Callable[..., Any]]] = {}
        self.url = ""

        async def instruments(request: Any, context: Any) -> md.ListInstrumentsResponse:
            wanted = request.symbol in ("", INSTRUMENT.symbol)
            return md.ListInstrumentsResponse(instruments=[INSTRUMENT] if wanted else [])

        self.answer("MarketDataService/ListInstruments", md.ListInstrumentsRequest, instruments)

    def answer(self, method: str, request: type[Message], handler: Callable[..., Any]) -> None:
        self.unary[path_of(method)] = (request, handler)

    def send(self, method: str, request: type[Message], handler: Callable[..., Any]) -> None:
        """A stream that the server sends; the handler yields messages."""
        self.sending[path_of(method)] = (request, handler)

    def stream(self, method: str, handler: Callable[..., Any]) -> None:
        self.streams[f"/{PACKAGE}.{method}"] = handler

    def market(self, **retry: Any) -> Market:
        policy = RetryPolicy(**{"deadline": 60.0, "first_pause": 0.001, **retry})
        return smartex_client.connect(self.url, token="secret", retry=policy)

    def service(self, details: grpc.HandlerCallDetails) -> Any:
        if details.method in self.unary:
            request, handler = self.unary[details.method]
            return grpc.unary_unary_rpc_method_handler(
                handler,
                request_deserializer=request.FromString,
                response_serializer=lambda message: message.SerializeToString(),
            )
        if details.method in self.sending:
            request, handler = self.sending[details.method]
            return grpc.unary_stream_rpc_method_handler(
                handler,
                request_deserializer=request.FromString,
                response_serializer=lambda message: message.SerializeToString(),
            )
        handler = self.streams.get(details.method, _missing)
        if details.method.endswith("/Subscribe"):
            return grpc.unary_stream_rpc_method_handler(
                handler, request_deserializer=md.SubscribeRequest.FromString
            )
        return grpc.stream_stream_rpc_method_handler(handler)


async def _missing(request: Any, context: Any) -> None:
    await context.abort(grpc.StatusCode.UNIMPLEMENTED, "not in the script")


@pytest.fixture
async def exchange() -> AsyncIterator[Scripted]:
    script = Scripted()

    class Handler(grpc.GenericRpcHandler):  # type: ignore[type-arg]
        def service(self, details: grpc.HandlerCallDetails) -> Any:
            return script.service(details)

    server = grpc.aio.server()
    server.add_generic_rpc_handlers((Handler(),))
    script.url = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    await server.start()
    yield script
    await server.stop(0)


@pytest.fixture
def fail() -> Callable[..., Any]:
    """Abort a call as the exchange does: code, reason, details."""

    async def abort(context: Any, code: grpc.StatusCode, text: str, *details: Message) -> None:
        packed = []
        for detail in details:
            packed.append(AnyMessage())
            packed[-1].Pack(detail)
        status = status_pb2.Status(code=code_pb2.Code.Value(code.name), message=text, details=packed)
        context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
        await context.abort(code, text)

    return abort


@pytest.fixture
def info() -> Callable[..., Any]:
    def made(reason: str, **metadata: str) -> Any:
        return error_details_pb2.ErrorInfo(reason=reason, domain="smartex", metadata=metadata)

    return made


@pytest.fixture
def instrument() -> types.Instrument:
    copy = types.Instrument()
    copy.CopyFrom(INSTRUMENT)
    return copy
