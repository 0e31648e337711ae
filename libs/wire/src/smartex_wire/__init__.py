"""Protobuf bytes to NumPy structured arrays and back, by compiled kernels."""

from ._codec import Codec, FlatCodec, Kernels, codec, flat_codec
from ._errors import Reason, WireError
from ._rows import joined, row_maker
from ._warm import warm_up
from .direct import direct

__all__ = [
    "Codec",
    "FlatCodec",
    "Kernels",
    "Reason",
    "WireError",
    "codec",
    "direct",
    "flat_codec",
    "joined",
    "row_maker",
    "warm_up",
]
