"""Import this before Numba compiles or loads a kernel, and it will not load SciPy.

Numba imports SciPy's linear algebra to learn whether it is there. No kernel of this project multiplies matrices, and
the import is a seventh of a service's start. Who imports SciPy later finds it.
"""

import importlib
import sys


def _load_array_functions() -> None:
    if "scipy.linalg" in sys.modules or "numba.np.arraymath" in sys.modules:
        return
    sys.modules["scipy.linalg"] = None  # type: ignore[assignment]  # what Python takes for "not to be had"
    try:
        importlib.import_module("numba.np.arraymath")
    finally:
        del sys.modules["scipy.linalg"]


_load_array_functions()
