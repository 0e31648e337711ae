"""Makes the helpers importable: `from habit_worlds import fill`, `from investors import simulate`."""

import sys
from pathlib import Path

HERE = str(Path(__file__).parent)
if HERE not in sys.path:
    sys.path.insert(0, HERE)
