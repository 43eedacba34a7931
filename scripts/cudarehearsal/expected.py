"""What is expected of ortscore on CUDA: the one place for it.

RUNS are those that must go well, FAILURES those in which CUDA does not. Compute capabilities
stand for cards: 75 is a T4, 80 an A100, 90 an H100, 120 an RTX 5090.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field

CAPABILITIES = (75, 80, 90, 120)

# Held by every run, whatever the model.
COPIES_TO_HOST = 1  # a forward: its results
WAITS = 2           # a forward: for that copy, and for the run's end
THREADS = 1         # with a cuBLAS handle, each of which takes memory
ON_CPU = ""         # the operators that run there, but for the arithmetic of shapes


@dataclass(frozen=True)
class Run:
    """A run of a command with a model, on each of the CAPABILITIES.

    Numbers are the most that is allowed. Those of a forward are of one in the middle of the
    run's last third: for nll that of a full batch, for rank a step of up to twelve rows.
    """

    command: str
    model: str
    attention: dict[int, str]  # the kinds that run, by the least capability that has them
    launches: dict[int, int]   # kernels and multiplies of a forward, over two layers, likewise
    copies: int                # from the host to the device, a forward
    bytes_up: int              # of those
    bytes_down: int            # to the host, a forward
    allocations: int           # one for each of the weights, and what the runs take
    peak: int                  # MiB of device memory
    plans: int = 0             # of cuDNN's attention, one a shape: some 400 ms each on a device
    flags: tuple[str, ...] = ()
    capabilities: tuple[int, ...] = CAPABILITIES

    @property
    def name(self) -> str:
        return " ".join((self.command, self.model, *self.flags))

    def on(self, capability: int) -> tuple[frozenset[str], int]:
        """The attention and the launches on a card."""
        least = max(least for least in self.launches if least <= capability)
        return frozenset(self.attention[least].split(", ")), self.launches[least]


FUSED = {75: "memory-efficient", 80: "flash, flash decoding"}
FUSED_STEPS = {75: "memory-efficient", 80: "XQA, flash, flash decoding"}
PLAIN = {75: "plain operators"}

WORDS = 12  # numbers that a row of a ranking brings to the host at most, of all the vocabulary

RUNS = [
    Run("nll", "gqa-fp16", FUSED, launches={75: 48, 80: 44},
        copies=4, bytes_up=22_000, bytes_down=2_000, allocations=34, peak=40),
    Run("nll", "gqa-fp16", {75: "cuDNN"}, launches={75: 44},
        copies=4, bytes_up=22_000, bytes_down=2_000, allocations=34, peak=40, plans=16,
        flags=("--cuda-attention", "cudnn"), capabilities=(90, 120)),
    Run("nll", "gqa-int4", FUSED, launches={75: 62, 80: 58},
        copies=4, bytes_up=22_000, bytes_down=2_000, allocations=48, peak=40),
    Run("nll", "explicit-fp16", PLAIN, launches={75: 110},
        copies=6, bytes_up=56_000, bytes_down=2_000, allocations=36, peak=72),
    Run("nll", "explicit-fp32", PLAIN, launches={75: 101},
        copies=6, bytes_up=56_000, bytes_down=2_000, allocations=36, peak=80),
    Run("rank", "gqa-fp16", FUSED_STEPS, launches={75: 50, 80: 46},
        copies=4, bytes_up=1_000, bytes_down=12 * 4 * WORDS, allocations=62, peak=88),
    Run("rank", "gqa-int4", FUSED_STEPS, launches={75: 50, 80: 46},
        copies=4, bytes_up=1_000, bytes_down=12 * 4 * WORDS, allocations=76, peak=88),
    Run("rank", "explicit-fp16", PLAIN, launches={75: 112},
        copies=6, bytes_up=200_000, bytes_down=12 * 4 * WORDS, allocations=95, peak=720),
    Run("rank", "explicit-fp32", PLAIN, launches={75: 103},
        copies=6, bytes_up=200_000, bytes_down=12 * 4 * WORDS, allocations=95, peak=720),
]

COMMANDS = ("nll", "rank")
MODELS = ("gqa-fp16", "gqa-int4", "explicit-fp16", "explicit-fp32")
MEMORY = "out of memory"

# MiB of device memory from which a run must give scores, whatever it has to do for that.
ENOUGH = {("nll", "gqa-fp16"): 16, ("nll", "gqa-int4"): 16,
          ("nll", "explicit-fp16"): 32, ("nll", "explicit-fp32"): 32,
          ("rank", "gqa-fp16"): 32, ("rank", "gqa-int4"): 32,
          ("rank", "explicit-fp16"): 64, ("rank", "explicit-fp32"): 128}


@dataclass(frozen=True)
class Failure:
    """Runs in which CUDA fails. Each must end in scores, if these are allowed, or in an error.

    None may end in a signal, or not at all, or in an error that is ONNX Runtime's C++.
    """

    what: str
    # Of the stand-ins, without FAKECUDA_. N stands for each number of `after` in turn.
    settings: dict[str, str] = field(default_factory=dict)
    scores: bool = False  # may a run end in scores
    says: str = ""  # a regular expression of what is said where it does
    error: str = ""  # one of what is said where it ends in an error; "" where it may not
    after: tuple[int, ...] = (0,)  # calls that go well before
    missing: str = ""  # a library that is not there
    commands: tuple[str, ...] = COMMANDS
    models: tuple[str, ...] = ("gqa-fp16", "explicit-fp32")
    provider: str = "cuda"

    def cases(self) -> Iterator[tuple[str, str, int]]:
        """Command, model and number of calls that go well before, of each run."""
        return itertools.product(self.commands, self.models, self.after)

    def must_score(self, command: str, model: str) -> bool:
        memory = int(self.settings.get("MEMORY", 0)) >> 20
        return not self.error or memory >= ENOUGH.get((command, model), memory + 1)


def cuda_does_not_start(what: str, settings: dict[str, str], why: str) -> list[Failure]:
    """An error where CUDA was asked for; the CPU where it need not be; doctor says so as well."""
    return [
        Failure(what, settings, error=why),
        Failure(f"{what}, with --ep auto", settings, scores=True, provider="auto",
                says=f"note: runs on the cpu: .*({why})", models=("gqa-fp16",)),
        Failure(f"{what}, asked of doctor", settings, scores=True, provider="auto",
                says=f"provider cuda +no: .*({why})", commands=("doctor",), models=("gqa-fp16",)),
    ]


FAILURES = [
    *(Failure(f"device memory of {mib} MiB", {"MEMORY": str(mib << 20)}, scores=True,
              error=MEMORY, models=MODELS) for mib in (16, 32, 64, 128, 256, 1024)),
    Failure("cuBLAS gets no memory for a handle", {"CUBLAS_ERROR": "3:N"}, scores=True,
            error=MEMORY, after=(0, 1)),
    Failure("cuBLAS is not initialised, for the same reason", {"CUBLAS_ERROR": "1:N"}, scores=True,
            error=MEMORY, after=(0, 1)),
    Failure("cuDNN gets no memory for a handle", {"CUDNN_ERROR": "4004:N"}, scores=True,
            error=MEMORY, after=(0, 1)),
    Failure("cuDNN gets no memory for a plan", {"CUDNN_RUN_ERROR": "4004:N", "SM": "90"},
            scores=True, error=MEMORY, after=(0, 20)),
    Failure("a kernel that was not built for the card (209)", {"LAUNCH_ERROR": "209:N"},
            scores=True, error="no kernels", after=(0, 1, 150, 400)),
    Failure("an illegal address in a kernel (700)", {"LAUNCH_ERROR": "700:N"},
            scores=True, error="illegal memory access", after=(0, 1, 150, 400)),
    Failure("an illegal address, seen later (700)", {"SYNC_ERROR": "700:N"},
            scores=True, error="illegal memory access", after=(0, 20, 40)),
    *cuda_does_not_start("a V100", {"SM": "70"}, r"no kernels.* 7\.0"),
    *cuda_does_not_start("a B200", {"SM": "100"}, r"no kernels.* 10\.0"),
    *cuda_does_not_start("a driver for CUDA 12.4", {"DRIVER": "12040"},
                         r"driver is too old: want .*13\.\d.* got .*12\.4"),
    *cuda_does_not_start("no driver", {"DRIVER": "0"}, r"no (NVIDIA )?driver"),
    *cuda_does_not_start("no device", {"DEVICE_ERROR": "100"}, "no CUDA-capable device"),
    # A GroupQueryAttention on the CPU reads lengths that were computed on the device.
    Failure("GroupQueryAttention in fp32, which CUDA has no kernel for", {"PATTERN": "0"},
            scores=True, says="nodes run on the cpu: .*GroupQueryAttention", commands=("nll",),
            models=("gqa-fp32",)),
    Failure("no libcudnn", {"SM": "90"}, missing="libcudnn.so.9", scores=True),
    *(Failure(f"no {name.split('.')[0]}", missing=name, error=name) for name in (
        "libcublas.so.13", "libcublasLt.so.13", "libcurand.so.10", "libcudart.so.13",
        "libcuda.so.1")),
    *(Failure(f"a rotation outside of GroupQueryAttention, --ep {provider}", scores=True,
              models=("gqa-fp16-rotation-outside",), provider=provider, says="on cuda device 0")
      for provider in ("cuda", "auto")),
]
