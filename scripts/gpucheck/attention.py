"""Which attention kernels ran, by what ONNX Runtime's CUDA provider writes to standard output."""

from __future__ import annotations

import re
from collections import Counter

# Read when a kernel is made; then a line is written for each attention node that runs.
ENVIRONMENT = {"ORT_ENABLE_ATTENTION_KERNEL_DEBUG_INFO": "1"}

# "Operator=GroupQueryAttention Node=... SdpaKernel=FLASH_ATTENTION ...=24", coloured.
LINE = re.compile(r"Operator=(\w+).*\bSdpaKernel=(\w+)")


def count(text: str) -> str:
    """ "GroupQueryAttention by FLASH_ATTENTION 24 times", the most frequent first."""
    found = Counter(match.groups() for match in map(LINE.search, text.splitlines()) if match)
    return ", ".join(f"{operator} by {kernel} {n} times"
                     for (operator, kernel), n in found.most_common())
