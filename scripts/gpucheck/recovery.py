"""The steps that break a run: memory that runs out, and Ctrl+C."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

from . import work
from .compare import difference
from .process import GPU, Done, StepError, device_memory
from .proof import QUESTIONS, Proof


def limits(p: Proof, model: Path) -> Iterator[tuple[list[object], dict, str]]:
    """Ever less memory: flags, what bounds the process, and a name.

    On the GPU by --gpu-memory, from the weights' size on; on the cpu, which has no such flag, by
    the process's address space.
    """
    if p.rehearsal:
        for step in range(24):
            size = 3.0 * 0.95 ** step
            yield [], {"address_space": int(size * 2 ** 30)}, f"{size:.1f} GiB of addresses"
        return
    weights = sum(path.stat().st_size for path in model.glob("model.onnx*")) >> 20
    for extra in (1024, 512, 256, 128, 64, 32, 16):
        yield ["--gpu-memory", weights + extra], {}, f"--gpu-memory {weights + extra}"


def halved(done: Done) -> int:
    """How often a run said that memory ran out and that it goes on."""
    return sum("note:" in line and "out of memory" in line for line in done.err.splitlines())


def forced(p: Proof, command: str, model: Path, data: Path, *flags: object) -> str:
    """Runs with ever less memory until it runs out, and holds what was scored all the same
    against a run with all of it."""
    want, got = p.folder / f"{command}.whole.jsonl", p.folder / f"{command}.short.jsonl"
    common = [*flags, "--in", data, "--force", "--out"]
    p.ortscore(command, model, *common, want, seconds=120).must()
    said = "memory never ran out"
    for less, bounds, name in limits(p, model):
        got.unlink(missing_ok=True)
        done = p.ortscore(command, model, *less, *common, got, seconds=60, **bounds)
        times = halved(done)
        if done.code == 0 and times > 0:
            d = difference(want, got)
            return (f"{name}: ran out {times} times and went on; largest difference from a run "
                    f"with all memory {d.largest:.2g}, Spearman at least {d.least:.4f}")
        if done.code != 0:
            said = f"{name}: exit code {done.code}: {done.err.strip().splitlines()[-1][:200]}"
            if not p.rehearsal:  # the address space holds Go and the libraries too
                break
    raise StepError(f"no run that ran out and went on; the last: {said}")


def long_rows(p: Proof) -> Path:
    """Sequences that take much more memory than the tiny model's weights."""
    path = p.folder / "long.jsonl"
    if not path.exists():
        work.write_rows(path, 500, 48, 2000)
    return path


def long_lists(p: Proof) -> Path:
    """The questions with passages that are cut to fill the context, likewise."""
    path = p.folder / "long.lists.jsonl"
    rows = [json.loads(line) for line in QUESTIONS.read_text(encoding="utf-8").splitlines()]
    with open(path, "w", encoding="utf-8") as file:
        for row in rows:
            passages = {part: [text * 8 for text in row[part]] for part in ("pos", "neg")}
            file.write(json.dumps(row | passages) + "\n")
    return path


def nll_out_of_memory(p: Proof) -> str:
    if p.rehearsal:
        return forced(p, "nll", p.exported(p.large), long_rows(p), "--batch-tokens", 65536)
    return forced(p, "nll", p.half(), QUESTIONS, "--batch-tokens", 65536)


def rank_out_of_memory(p: Proof) -> str:
    model = p.exported(p.large) if p.tiny else p.half()
    return forced(p, "rank", model, long_lists(p), "--batch-tokens", 65536, "--batch-size", 16,
                  "--cache-tokens", 65536, "--max-length", 2048, "--model-type", "llm")


def interrupted(p: Proof) -> str:
    """Ctrl+C in the middle of a run: exit code 130, no output, nothing left on the device."""
    before = device_memory() if GPU else 0
    data, out = p.folder / "interrupt.jsonl", p.folder / "interrupt" / "out.jsonl"
    out.parent.mkdir(exist_ok=True)
    work.write_rows(data, 500, 400 if p.rehearsal else 40000, 450)
    after = 8  # at a million tokens a second these rows take 13 s
    if p.tiny:  # stand-ins for CUDA compute nothing, and need no time for it
        after = 6 if p.rehearsal else 4
    done = p.ortscore("nll", p.half(), "--in", data, "--out", out, interrupt_after=after,
                      seconds=after + 45)
    left = [path.name for path in out.parent.iterdir()]
    if done.code != 130 or left:
        raise StepError(f"exit code {done.code} after {done.seconds:.1f} s, files left: {left}")
    words = (f"Ctrl+C after {after} s: exit code 130 {done.seconds - after:.1f} s later, "
             "no file left")
    if GPU:
        time.sleep(2)  # the driver frees memory a little after the process is gone
        held = device_memory() - before
        if held > 64:
            raise StepError(f"{words}, but {held} MiB more in use on the device than before")
        words += f", {max(0, held)} MiB left on the device"
    else:
        words += "; no nvidia-smi to ask what is left on the device"
    return words
