"""What the collector looks at, in a process of its own: the tests' garbage must stay garbage."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import gc
from smartex_chassis import settle_garbage, settle_imports
settle_imports()
assert gc.get_freeze_count() == 0, "nothing has settled yet"
before = len(gc.get_objects())
settle_garbage()
assert before > 10_000
assert len(gc.get_objects()) < 100
import xml.dom.minidom, unittest.mock
imported = len(gc.get_objects())
settle_imports()
assert len(gc.get_objects()) < 100 < imported
class Cycle:
    pass
for _ in range(1000):
    cycle = Cycle()
    cycle.itself = cycle
gc.collect()
assert sum(isinstance(each, Cycle) for each in gc.get_objects()) == 1, "garbage is collected as ever"
"""


def test_what_is_there_is_not_walked_again_and_new_garbage_is() -> None:
    subprocess.run([sys.executable, "-c", PROGRAM], check=True)
