"""The control API: faults, what was received, and each stand-in's own controls.

Every request that changes something must be JSON, which keeps pages of other sites in a browser out.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Mount, Route

from .faults import UnknownFault
from .people import People
from .request_log import RequestLog
from .standin import Standin

MAX_CONTROL_BYTES: Final = 1 << 20


async def read_json(request: Request) -> dict[str, Any]:
    """Return the JSON object that the request brings; HTTPException 4xx if it brings none."""
    if request.headers.get("content-type", "").split(";")[0].strip() != "application/json":
        raise HTTPException(415, "send application/json")
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > MAX_CONTROL_BYTES:
            raise HTTPException(413, "too long")
    try:
        value = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise HTTPException(400, "not JSON") from error
    if not isinstance(value, dict):
        raise HTTPException(400, "send a JSON object")
    return value


def text_of(values: dict[str, Any], name: str, *, default: str | None = None) -> str:
    """Return a text of a control request; HTTPException 400 if it is missing or no text."""
    value = values.get(name, default)
    if not isinstance(value, str):
        raise HTTPException(400, f"{name}: a text is needed")
    return value


def control_routes(standins: Sequence[Standin], people: People, log: RequestLog) -> list[BaseRoute]:
    """Routes below `/control`."""

    async def assign(request: Request) -> Response:
        values = await read_json(request)
        people.assign(text_of(values, "address"), text_of(values, "person"))
        return JSONResponse({})

    routes: list[BaseRoute] = [Route("/people", assign, methods=["POST"])]
    routes += [Mount(f"/{standin.name}", routes=_routes_of(standin, log)) for standin in standins]
    return [Mount("/control", routes=routes)]


def _routes_of(standin: Standin, log: RequestLog) -> list[BaseRoute]:
    faults = standin.faults

    async def show_faults(_: Request) -> Response:
        return JSONResponse(faults.state())

    async def set_faults(request: Request) -> Response:
        try:
            faults.set(await read_json(request))
        except UnknownFault as error:
            raise HTTPException(400, str(error)) from error
        return JSONResponse(faults.state())

    async def clear_faults(_: Request) -> Response:
        faults.clear()
        return JSONResponse(faults.state())

    async def show_log(request: Request) -> Response:
        limit = request.query_params.get("limit", "100")
        if not (limit.isascii() and limit.isdigit() and len(limit) < 10):
            raise HTTPException(400, "limit: a number is needed")
        return JSONResponse([received.shown() for received in log.latest(standin.name, int(limit))])

    return [
        Route("/faults", show_faults, methods=["GET"]),
        Route("/faults", set_faults, methods=["POST"]),
        Route("/faults", clear_faults, methods=["DELETE"]),
        Route("/log", show_log, methods=["GET"]),
        *standin.controls(),
    ]
