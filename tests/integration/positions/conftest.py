"""Makes the reference model of the market importable: it writes the random flows."""

import sys
from pathlib import Path

HERE = str(Path(__file__).parents[2] / "unit" / "matching")
if HERE not in sys.path:
    sys.path.insert(0, HERE)
