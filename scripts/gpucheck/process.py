"""A command with a time limit: what it wrote, how long it took, the memory it took at most."""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

GPU = shutil.which("nvidia-smi") is not None


class StepError(Exception):
    """A step that failed, in one line."""


class Skipped(Exception):
    """A step that cannot be run on this machine, which is no failure."""


@dataclass
class Done:
    """A command that ended by itself."""

    code: int
    out: str
    err: str
    seconds: float
    peak: int  # MiB: of the device by nvidia-smi, or of the process where there is none

    def must(self, *codes: int) -> Done:
        """Itself, or StepError where its exit code is neither 0 nor one of those."""
        if self.code not in (0, *codes):
            raise StepError(f"exit code {self.code}: {last_line(self.err)}")
        return self


def last_line(text: str) -> str:
    """The last line that says anything, which in ortscore is the error or its hint."""
    lines = [line for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if "error:" in line.lower()]
    return (errors or lines or ["no output"])[-1].strip()[:300]


def run(command: list[str], limit: float, interrupt_after: float | None = None,
        address_space: int | None = None, log: Path | None = None,
        environment: dict[str, str] | None = None) -> Done:
    """Runs a command; after `limit` seconds it is killed, with all that it started.

    `interrupt_after` sends Ctrl+C's signal then. `address_space` bounds its memory, in bytes.
    `environment` is added to this process's own.
    """
    start = time.monotonic()
    child = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace",
        env=os.environ | (environment or {}), start_new_session=True,
        preexec_fn=_bounded(address_space))
    timer = threading.Timer(interrupt_after or limit, child.send_signal, [signal.SIGINT])
    if interrupt_after:
        timer.start()
    with _peak(child.pid) as peak:
        try:
            out, err = child.communicate(timeout=max(1, limit))
        except subprocess.TimeoutExpired:
            _kill(child)
            raise StepError(f"ran past {limit:.0f} s") from None
        except BaseException:
            _kill(child)
            raise
        finally:
            timer.cancel()
    if log is not None:
        with open(log, "a", encoding="utf-8") as file:
            file.write(f"$ {' '.join(command)}\n{out}{err}[{child.returncode}]\n\n")
    return Done(child.returncode, out, err, time.monotonic() - start, max(peak, default=0))


def _bounded(address_space: int | None):
    if address_space is None:
        return None
    return lambda: resource.setrlimit(resource.RLIMIT_AS, (address_space, address_space))


def _kill(child: subprocess.Popen) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()


@contextlib.contextmanager
def _peak(pid: int) -> Iterator[list[int]]:
    """Samples memory five times a second into the list, MiB."""
    seen: list[int] = []
    stop = threading.Event()

    def watch() -> None:
        while not stop.wait(0.2):
            seen.append(device_memory() if GPU else host_memory(pid))

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield seen
    finally:
        stop.set()
        thread.join()


def memory_of(done: Done) -> str:
    """A command's peak memory, and whose it is."""
    of = "" if GPU else " of the process, since there is no nvidia-smi to ask for the device's"
    return f"peak memory {done.peak:,} MiB{of}"


def device_memory() -> int:
    """MiB that are in use on the first device, whoever uses them."""
    answer = subprocess.run(
        ["nvidia-smi", "--query-gpu=memory.used", "--format=csv,noheader,nounits", "--id=0"],
        capture_output=True, text=True, timeout=20, check=False).stdout.split()
    return int(answer[0]) if answer and answer[0].isdigit() else 0


def host_memory(pid: int) -> int:
    """MiB of a process and of the file pages that it has mapped."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    lines = [line.split() for line in status.splitlines() if line.startswith("VmRSS")]
    return int(lines[0][1]) >> 10 if lines else 0
