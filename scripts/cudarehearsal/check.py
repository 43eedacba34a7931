"""A run held against what is expected of it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from . import expected
from .expected import Failure, Run
from .session import Done, Stage

# The budget of nll's batches is otherwise found by their time, which means nothing here.
FLAGS = {"nll": ("--batch-tokens", "2048")}


@dataclass
class Result:
    """How a run ended, and in which ways that was not as expected."""

    done: Done
    wrong: list[str]


def check_run(stage: Stage, run: Run, capability: int) -> Result:
    """Runs what must go well, and holds the log against the expectations."""
    done = stage.run(run.command, run.model, {"SM": str(capability)},
                     flags=(*FLAGS.get(run.command, ()), *run.flags))
    name = f"{run.name} on {capability}"
    return Result(done, [f"{name}: {line}" for line in wrong_run(run, capability, done)])


def wrong_run(run: Run, capability: int, done: Done) -> list[str]:
    if done.code != 0 or done.fault():
        return [done.fault() or done.words]
    trace = done.trace
    attention, launches = run.on(capability)
    wrong = [f"a launch that a device would not take: {line}" for line in trace.refused]
    for what, want, got in (
        ("attention", sorted(attention), sorted(trace.attention)),
        ("operators on the cpu", expected.ON_CPU, done.on_cpu),
        ("copies to the host a forward", expected.COPIES_TO_HOST,
         trace.most("copy", way="device-host")),
    ):
        if want != got:
            wrong.append(f"{what}: want {want}, got {got}")
    for what, most, got in (
        ("kernels a forward", launches, trace.launches),
        ("copies to the device a forward", run.copies, trace.most("copy", way="host-device")),
        ("bytes to the device a forward", run.bytes_up, trace.copied("host-device")),
        ("bytes to the host a forward", run.bytes_down, trace.copied("device-host")),
        ("waits a forward", expected.WAITS, trace.most("wait")),
        ("allocations", run.allocations, trace.allocations),
        ("MiB of device memory", run.peak, trace.peak >> 20),
        ("threads with a handle", expected.THREADS, trace.threads),
        ("plans of cuDNN", run.plans, trace.plans),
    ):
        if got > most:
            wrong.append(f"{what}: want {most} at most, got {got}")
    return wrong


def check_failure(stage: Stage, failure: Failure, command: str, model: str, after: int) -> Result:
    """Runs what may fail, and looks at how it ends."""
    settings = {name: value.replace("N", str(after)) for name, value in failure.settings.items()}
    done = stage.run(command, model, settings, provider=failure.provider, missing=failure.missing,
                     flags=FLAGS.get(command, ()))
    name = f"{failure.what}: {command} {model}" + (f", after {after}" if after else "")
    line = wrong_end(failure, command, model, done)
    return Result(done, [f"{name}: {line}"] if line else [])


def wrong_end(failure: Failure, command: str, model: str, done: Done) -> str | None:
    if done.fault():
        return done.fault()
    if done.code == 0:
        if not failure.scores:
            return "want an error, got scores"
        wanted = failure.says
    else:
        if failure.must_score(command, model):
            return f"want scores, got {done.words}"
        wanted = failure.error
    if not re.search(wanted, done.said):
        return f"want {wanted!r} to be said, got {done.said[-400:]}"
    return None
