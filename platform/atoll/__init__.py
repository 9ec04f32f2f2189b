"""Atoll gives every team a virtual Kubernetes cluster with Ray ready in it."""

import os
import sys
from typing import Any

__version__ = "0.1.0"

if os.environ.get("ATOLL_SERVICE"):
    # A process that runs for months writes JSON lines: what structlog loads to colour tracebacks on a
    # terminal costs each 3 to 9 MiB. It does without when there is none.
    _modules: dict[str, Any] = sys.modules
    _modules.setdefault("rich", None)
