"""The log of the stand-ins (scripts/fakecuda/trace.h), read."""

from __future__ import annotations

import re
import statistics
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

# What a kernel's mangled name has, and which attention it belongs to; the first that fits.
ATTENTION = {
    r"cudnnBackendExecute": "cuDNN",
    r"flash_fwd_splitkv": "flash decoding",
    r"flash_fwd_kernel": "flash",
    r"kernel_mha": "XQA",
    r"attention_kernel_batched": "memory-efficient",
    r"contrib4cuda\w*Softmax": "unfused",
    # A softmax operator, and not the log-softmax over the words.
    r"softmax_warp_forward\w+?ELb0E|softmax_block_forward(?!\w*LogSoftMax)": "plain operators",
}


@dataclass(frozen=True)
class Event:
    """One call: the thread that made it, what it was, and what is known of it."""

    thread: int
    kind: str
    fields: dict[str, str]

    def number(self, name: str) -> int:
        return int(self.fields.get(name, 0))


def parse(line: str) -> Event:
    thread, kind, *fields = line.split(" ")
    return Event(int(thread), kind, dict(field.split("=", 1) for field in fields))


def select(events: list[Event], kind: str, **fields: str) -> list[Event]:
    return [event for event in events if event.kind == kind
            and all(event.fields.get(name) == value for name, value in fields.items())]


class Trace:
    """All calls of one process, and what they add up to."""

    def __init__(self, lines: list[str]):
        self.events = [parse(line) for line in lines]

    @classmethod
    def read(cls, path: Path) -> Trace:
        return cls(path.read_text().splitlines() if path.exists() else [])

    @cached_property
    def forwards(self) -> list[list[Event]]:
        """The calls of each forward, and of what follows it up to the next one.

        A forward begins with a Gather from the embedding, and ends with a copy to the host.
        Those in which a session is made are left out, as is what comes before the first.
        """
        parts: list[list[Event]] = [[]]
        copied = True
        for event in self.events:
            if copied and "13_GatherKernel" in event.fields.get("kernel", ""):
                parts.append([])
                copied = False
            copied |= event.fields.get("way") == "device-host"
            parts[-1].append(event)
        return [part for part in parts[1:] if not select(part, "create", what="stream")]

    def most(self, kind: str, **fields: str) -> int:
        """The most calls of a kind in a forward."""
        return max((len(select(part, kind, **fields)) for part in self.forwards), default=0)

    def typical(self, count: Callable[[list[Event]], int]) -> int:
        """A count for a forward in the middle of the run's last third.

        What is before that has the trial at start in it, with forwards of few tokens.
        """
        return statistics.median_low(
            [count(part) for part in self.forwards[2 * len(self.forwards) // 3:]] or [0])

    def copied(self, way: str) -> int:
        """Bytes that such a forward copies this way."""
        return self.typical(lambda part: sum(
            event.number("bytes") for event in select(part, "copy", way=way)))

    @property
    def launches(self) -> int:
        """Kernels and multiplies of such a forward."""
        return self.typical(lambda part: sum(
            event.kind in ("launch", "multiply") for event in part))

    @property
    def attention(self) -> frozenset[str]:
        """Which kinds of attention ran."""
        kernels = {event.fields["kernel"] for event in select(self.events, "launch")}
        names = (next((name for part, name in ATTENTION.items() if re.search(part, kernel)), None)
                 for kernel in kernels)
        return frozenset(filter(None, names))

    @property
    def peak(self) -> int:
        """The most device memory in use, in bytes."""
        return max((event.number("total") for event in select(self.events, "malloc")), default=0)

    @property
    def allocations(self) -> int:
        return len(select(self.events, "malloc"))

    @property
    def threads(self) -> int:
        """Threads that made a cuBLAS handle."""
        return len({event.thread for event in select(self.events, "create", what="cublas")})

    @property
    def plans(self) -> int:
        """cuDNN's plans, each of which takes some hundred milliseconds on a device."""
        return len(select(self.events, "create", what="cudnn-plan"))

    @property
    def refused(self) -> list[str]:
        """Kernels that a device would not have taken, and why."""
        return [f"error {event.fields['error']}: {event.fields['kernel']}"
                for event in select(self.events, "launch") if event.number("error")]
