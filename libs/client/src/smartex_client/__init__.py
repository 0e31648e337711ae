"""The exchange from Python: `connect` for asyncio, `connect_sync` for plain code. What is exported here is public."""

from . import grpc_setup  # noqa: F401  # before anything loads gRPC
from .books import BookGap, LocalBook
from .commands import COMMAND_DTYPE, REPORT_DTYPE, Amend, Cancel, Command, MassCancel
from .connection import RetryPolicy, Tls
from .conversations import Conversations
from .errors import (
    FailedPrecondition,
    Final,
    InsufficientFunds,
    InsufficientHoldings,
    InvalidInput,
    NotFound,
    OffLot,
    OffTick,
    OrderRejected,
    OutcomeUnknown,
    Overloaded,
    PermissionDenied,
    Retryable,
    ServerFault,
    SmartexError,
    StreamCut,
    Unauthenticated,
    Unavailable,
)
from .ids import IdSource
from .market import Market, connect, connect_as
from .model import (
    Account,
    Book,
    Candle,
    Cash,
    Fill,
    Holding,
    LedgerEntry,
    Level,
    MassCancelled,
    Moved,
    Order,
    Report,
    StateHash,
    Trade,
    VenueStatus,
)
from .notifications import Notifications
from .operator import Venue
from .orders import NewOrder
from .positions import Positions
from .profile import Profile
from .streams import TradeStream
from .sync import (
    SyncConversations,
    SyncMarket,
    SyncNotifications,
    SyncPositions,
    SyncVenue,
    connect_sync,
)

__all__ = [
    "COMMAND_DTYPE",
    "REPORT_DTYPE",
    "Account",
    "Amend",
    "Book",
    "BookGap",
    "Cancel",
    "Candle",
    "Cash",
    "Command",
    "Conversations",
    "FailedPrecondition",
    "Fill",
    "Final",
    "Holding",
    "IdSource",
    "InsufficientFunds",
    "InsufficientHoldings",
    "InvalidInput",
    "LedgerEntry",
    "Level",
    "LocalBook",
    "Market",
    "MassCancel",
    "MassCancelled",
    "Moved",
    "NewOrder",
    "NotFound",
    "Notifications",
    "OffLot",
    "OffTick",
    "Order",
    "OrderRejected",
    "OutcomeUnknown",
    "Overloaded",
    "PermissionDenied",
    "Positions",
    "Profile",
    "Report",
    "RetryPolicy",
    "Retryable",
    "ServerFault",
    "SmartexError",
    "StateHash",
    "StreamCut",
    "SyncConversations",
    "SyncMarket",
    "SyncNotifications",
    "SyncPositions",
    "SyncVenue",
    "Tls",
    "Trade",
    "TradeStream",
    "Unauthenticated",
    "Unavailable",
    "Venue",
    "VenueStatus",
    "connect",
    "connect_as",
    "connect_sync",
]
