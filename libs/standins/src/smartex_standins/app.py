"""All stand-ins as one application: providers, controls and the phone page.

`/{name}/…` is a provider's own API, `/control/…` what a person or a test does to it, `/` the phone page.
"""

from __future__ import annotations

from collections.abc import Sequence

from starlette.applications import Starlette
from starlette.routing import Mount, Router

from .control import control_routes
from .gate import Gate
from .people import People
from .phone import phone_routes
from .request_log import RequestLog
from .standin import Standin


def build_app(standins: Sequence[Standin], people: People) -> Starlette:
    """Join the stand-ins; they are started and stopped by the caller."""
    log = RequestLog()
    providers = [
        Mount(f"/{standin.name}", app=Gate(Router(routes=list(standin.routes())), standin, log))
        for standin in standins
    ]
    return Starlette(
        routes=[*phone_routes(standins, people), *control_routes(standins, people, log), *providers]
    )
