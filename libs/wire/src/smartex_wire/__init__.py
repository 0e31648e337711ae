"""Protobuf bytes to NumPy structured arrays and back, by compiled kernels."""

from ._codec import Codec, FlatCodec, Kernels, codec, flat_codec
from ._errors import Reason, WireError
from ._rows import joined, row_maker
from ._warm import warm_up

__all__ = [
    "Codec",
    "FlatCodec",
    "Kernels",
    "Reason",
    "WireError",
    "codec",
    "flat_codec",
    "joined",
    "row_maker",
    "warm_up",
]
