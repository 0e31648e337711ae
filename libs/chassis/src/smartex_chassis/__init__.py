"""What every service stands on: settings, logging, tracing, auth, health, errors, drain."""

import smartex_chassis.grpc_setup  # noqa: F401  # before anything loads gRPC
from smartex_chassis.abandoning import in_abandoned_thread
from smartex_chassis.auth import PUBLIC, SCOPES, Principal, TokenVerifier
from smartex_chassis.backing import BackingSettings
from smartex_chassis.call import drain_started, principal
from smartex_chassis.errors import (
    BindFailed,
    Category,
    DeadlineExceeded,
    FailedPrecondition,
    FieldViolation,
    Internal,
    InvalidInput,
    NotFound,
    OutOfRange,
    Overloaded,
    PermissionDenied,
    PortInUse,
    SettingsInvalid,
    SmartexError,
    StartupError,
    Unauthenticated,
    Unavailable,
    Unimplemented,
    to_status,
)
from smartex_chassis.garbage import settle_garbage, settle_imports
from smartex_chassis.issuer import LocalIssuer
from smartex_chassis.keys import KeySet
from smartex_chassis.main import Service, run_all, run_loop
from smartex_chassis.peers import TokenFile, peer_channel
from smartex_chassis.server import ChassisServer, ServiceModule
from smartex_chassis.serving import serve
from smartex_chassis.settings import (
    ChassisSettings,
    PeerSettings,
    Seconds,
    Settings,
    describe_settings,
    load,
    read_secret,
)
from smartex_chassis.tasks import start_task, stop_tasks
from smartex_chassis.telemetry import counter, gauge, histogram, trace_metadata
from smartex_chassis.tls import PeerTls
from smartex_chassis.waiting import set_within

__all__ = [
    "PUBLIC",
    "SCOPES",
    "BackingSettings",
    "BindFailed",
    "Category",
    "ChassisServer",
    "ChassisSettings",
    "DeadlineExceeded",
    "FailedPrecondition",
    "FieldViolation",
    "Internal",
    "InvalidInput",
    "KeySet",
    "LocalIssuer",
    "NotFound",
    "OutOfRange",
    "Overloaded",
    "PeerSettings",
    "PeerTls",
    "PermissionDenied",
    "PortInUse",
    "Principal",
    "Seconds",
    "Service",
    "ServiceModule",
    "Settings",
    "SettingsInvalid",
    "SmartexError",
    "StartupError",
    "TokenFile",
    "TokenVerifier",
    "Unauthenticated",
    "Unavailable",
    "Unimplemented",
    "counter",
    "describe_settings",
    "drain_started",
    "gauge",
    "histogram",
    "in_abandoned_thread",
    "load",
    "peer_channel",
    "principal",
    "read_secret",
    "run_all",
    "run_loop",
    "serve",
    "set_within",
    "settle_garbage",
    "settle_imports",
    "start_task",
    "stop_tasks",
    "to_status",
    "trace_metadata",
]
