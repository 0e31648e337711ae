"""The positions service: what every account holds, what it risks, and what to do about it."""

import smartex_wire.numba_setup  # noqa: F401  # before the domain loads Numba
