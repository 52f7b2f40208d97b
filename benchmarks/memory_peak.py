"""The most memory that this process has had.

Belongs here: asking the system for it. Does not belong here: what is measured.
"""

from __future__ import annotations

import re
import resource
import sys
from pathlib import Path

_STATUS = Path("/proc/self/status")


def peak_bytes() -> int:
    """The most resident memory of this process since it began to run its program, bytes.

    Not `ru_maxrss` where Linux tells better: that also counts what the process that started this
    one had at the time, which for a benchmark after others is most of it.
    """
    if _STATUS.exists() and (told := re.search(r"VmHWM:\s+(\d+) kB", _STATUS.read_text())):
        return int(told[1]) * 1024
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
