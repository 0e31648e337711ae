"""Makes the helpers beside the tests importable: `from readside import ModelMarket`."""

import sys
from pathlib import Path

HERE = str(Path(__file__).parent)
if HERE not in sys.path:
    sys.path.insert(0, HERE)
