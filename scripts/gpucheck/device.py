"""What CUDA's runtime says of itself, the driver and the first device.

    python -m gpucheck.device

prints one JSON object; in a process of its own, so that whatever it takes of the device is gone.
"""

from __future__ import annotations

import ctypes
import json
import sys
from pathlib import Path

from .process import last_line, run

LIBRARIES = ("libcudart.so.13", "libcudart.so.12")

# cudaDeviceAttr in driver_types.h.
MAJOR, MINOR, PROCESSORS = 75, 76, 16


def facts() -> dict[str, int | str]:
    """The versions as CUDA has them, 13020 for 13.2; what fails comes as its error."""
    for name in LIBRARIES:
        try:
            cuda = ctypes.CDLL(name)
        except OSError:
            continue
        return ask(cuda, name)
    return {"error": f"no {' or '.join(LIBRARIES)} on LD_LIBRARY_PATH"}


def ask(cuda: ctypes.CDLL, name: str) -> dict[str, int | str]:
    cuda.cudaGetErrorString.restype = ctypes.c_char_p
    out: dict[str, int | str] = {"library": name}
    for key, function, *arguments in (
            ("runtime", cuda.cudaRuntimeGetVersion), ("driver", cuda.cudaDriverGetVersion),
            ("devices", cuda.cudaGetDeviceCount),
            ("major", cuda.cudaDeviceGetAttribute, MAJOR, 0),
            ("minor", cuda.cudaDeviceGetAttribute, MINOR, 0),
            ("processors", cuda.cudaDeviceGetAttribute, PROCESSORS, 0)):
        value = ctypes.c_int()
        error = function(ctypes.byref(value), *arguments)
        if error != 0:
            return out | {"error": f"{cuda.cudaGetErrorString(error).decode()} ({error})"}
        out[key] = value.value
    return out


def version(number: int) -> str:
    return f"{number // 1000}.{number % 1000 // 10}"


def describe(found: dict) -> str:
    """The facts in words, as far as they go."""
    parts = []
    if "runtime" in found:
        parts.append(f"CUDA {version(found['runtime'])} by {found['library']}")
    if "driver" in found:  # 0 is no driver at all
        parts.append(f"a driver for CUDA {version(found['driver'])}" if found["driver"]
                     else "no driver")
    if "processors" in found:
        parts.append(f"sm {found['major']}{found['minor']}, {found['processors']} multiprocessors, "
                     f"the first of {found['devices']}")
    if "error" in found:
        parts.append(f"CUDA says: {found['error']}")
    return ", ".join(parts)


def words(limit: float, log: Path) -> str:
    """Describes the device; a runtime that ends the process is no reason to fail."""
    done = run([sys.executable, "-m", "gpucheck.device"], limit, log=log)
    if done.code != 0:
        return f"asking CUDA's runtime ended with exit code {done.code}: {last_line(done.err)}"
    return describe(json.loads(done.out.splitlines()[-1]))


if __name__ == "__main__":
    print(json.dumps(facts()))
