"""The writers of published formats, which lie with the tests of plugins."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "plugins"))
