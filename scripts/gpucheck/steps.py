"""The steps of the proof, in order. Each returns what its row of the table says, or raises."""

from __future__ import annotations

import json
import platform
from collections.abc import Callable
from pathlib import Path

from . import attention, device, work
from .compare import difference
from .process import GPU, Skipped, StepError, device_memory, last_line, memory_of, run
from .proof import QUESTIONS, Proof
from .recovery import interrupted, nll_out_of_memory, rank_out_of_memory

CHOICES = ("flash", "cudnn")  # of --cuda-attention


def machine(p: Proof) -> str:
    """The device by nvidia-smi and by CUDA's runtime, which ortscore loads as well."""
    return f"{smi()}; {device.words(p.limit(60), p.log)}"


def smi() -> str:
    if not GPU:
        return f"{platform.machine()}, no nvidia-smi on the path"
    fields = "name,compute_cap,memory.total,driver_version"
    done = run(["nvidia-smi", f"--query-gpu={fields}", "--format=csv,noheader"], 30).must()
    return done.out.strip().replace("\n", "; ")


def models(p: Proof) -> str:
    p.prepare()
    return ", ".join(f"{form}: {path.name}" for form, path in sorted(p.forms.items()))


def providers(p: Proof) -> str:
    """Of doctor: the library, whether CUDA runs, and what of the model runs where."""
    done = p.ortscore("doctor", p.half()).must()
    lines = [line.strip().split("  ", 1) for line in done.out.splitlines()]
    # What scores is said before what decodes, under the same names.
    facts = {line[0]: line[1].strip() for line in reversed(lines) if len(line) == 2}
    if facts["runs on"] != p.ep:
        raise StepError(f"want the model on {p.ep}, got {facts['runs on']}")
    notes = [line for line in done.err.splitlines() if "note:" in line]
    return "; ".join([f"ONNX Runtime {facts['onnx runtime'].split(',')[0]}",
                      f"cuda {facts['provider cuda']}", f"gives {facts['gives']}",
                      f"memory left {facts['memory left']}",
                      *[note.split("note: ", 1)[1] for note in notes]])


def scored(p: Proof, name: str, model: Path, *flags: object, ep: str | None = None) -> Path:
    """The questions scored, once for all steps."""
    out = p.folder / f"scored.{name}.jsonl"
    if not out.exists():
        p.ortscore("nll", model, *flags, *p.few(), "--in", QUESTIONS, "--out", out, ep=ep,
                   seconds=240).must()
    return out


def against(p: Proof, name: str, model: Path, *flags: object) -> str:
    want = scored(p, "cpu", p.model("fp32-explicit", "fp32-gqa"), ep="cpu")
    d = difference(want, scored(p, name, model, *flags))
    return (f"largest difference {d.largest:.2g} nats; Spearman within a query: mean "
            f"{d.spearman:.4f}, least {d.least:.4f}")


def fp32_scores(p: Proof) -> str:
    # Its attention in plain operators: CUDA has GroupQueryAttention for 16 bits alone.
    return against(p, "fp32", p.model("fp32-explicit"))


def fp16_scores(p: Proof) -> str:
    return against(p, "fp16", p.half())


def full_scores(p: Proof) -> str:
    return against(p, "full", p.half(), "--graph", "full")


def rankings(p: Proof) -> str:
    files = []
    for name, model, ep in (("cpu", p.model("fp32-explicit"), "cpu"), ("gpu", p.half(), p.ep)):
        out = p.folder / f"ranked.{name}.jsonl"
        p.ortscore("rank", model, *p.few(), "--in", QUESTIONS, "--out", out, "--force",
                   ep=ep, seconds=240).must()
        files.append(out)
    d = difference(*files)
    return f"Spearman of the rankings: mean {d.spearman:.4f}, least {d.least:.4f}"


def peak(p: Proof) -> str:
    measured = p.peer("matmul")
    words = [f"{name} {value:.3g}" for name, value in measured.items() if name != "torch"]
    p.peak = p.peak or 1e12 * max(value for name, value in measured.items() if name != "torch")
    return f"torch {measured['torch']}, products in TFLOP/s: {', '.join(words)}"


def exports(p: Proof) -> str:
    for shape in (p.small, p.large):
        p.exported(shape)
    return "; ".join(p.exporter_said(shape).split(": ", 1)[1] for shape in (p.small, p.large))


def utilisation(p: Proof, flop_per_second: float) -> str:
    used = f", {100 * flop_per_second / p.peak:.1f}% of the peak" if p.peak else ""
    return f"{flop_per_second / 1e12:.4g} TFLOP/s{used}"


def kernels(p: Proof) -> str:
    """Which attention kernels run in nll and in rank, for each choice of them."""
    words = []
    for choice in [[]] if p.rehearsal else [["--cuda-attention", name] for name in CHOICES]:
        for command in ("nll", "rank"):
            out = p.folder / f"kernels.{command}.jsonl"
            done = p.ortscore(command, p.half(), *choice, "--limit", 2, "--threads", 2, "--in",
                              QUESTIONS, "--out", out, "--force",
                              environment=attention.ENVIRONMENT)
            ran = attention.count(done.out) or "none named"
            if done.code != 0:
                ran += f", then **failed**: {last_line(done.err)}"
            words.append(f"{' '.join([command, *choice[1:]])}: {ran}")
    return "; ".join(words)


def score_random(p: Proof, shape: str, rows: Path, *flags: object) -> tuple[dict, str]:
    """nll with random weights: its report, and what it says of any such model."""
    out = p.folder / "speed.jsonl"
    done = p.ortscore("nll", p.exported(shape), "--in", rows, "--out", out, "--force", "--json",
                      *flags, seconds=150).must()
    report = json.loads(done.out.splitlines()[-1])
    flops = work.flop(p.config(shape), work.read_rows(rows)) / report["seconds"]
    return report, (
        f"{report['tokens_per_second']:,.0f} tokens/s, {utilisation(p, flops)}; "
        f"{report['tokens']:,} tokens in {report['seconds']:.1f} s, {report['batches']} batches of "
        f"at most {report['batch_tokens']:,} tokens, in {report['shapes']} shapes; "
        f"{memory_of(done)}{arena(report)}")


def arena(report: dict) -> str:
    """What ONNX Runtime says of its own memory, for each copy of the model."""
    return "".join(f"; arena and weights {a['held'] >> 20:,} MiB, {a['peak'] >> 20:,} MiB in use "
                   f"at most, grown {a['grown']} times" for a in report["arenas"])


def items(p: Proof, *flags: object) -> str:
    p.exported(p.small)
    report, words = score_random(p, p.small, p.items(), *flags)
    return f"{report['sequences'] / report['seconds']:,.0f} items/s of 300 tokens; {words}"


def items_cudnn(p: Proof) -> str:
    return items(p, *cudnn(p))


def cudnn(p: Proof) -> list[object]:
    """The flags for cuDNN's attention kernels."""
    if p.rehearsal:
        raise Skipped("--cuda-attention is for --ep cuda")
    return ["--cuda-attention", "cudnn"]


def nll(p: Proof, *flags: object) -> str:
    p.exported(p.large)
    return score_random(p, p.large, p.rows(), *flags)[1]


def nll_fixed(p: Proof) -> str:
    return nll(p, "--batch-tokens", 2048 if p.tiny else 32768)


def nll_cudnn(p: Proof) -> str:
    return nll(p, *cudnn(p))


def nll_peer(p: Proof) -> str:
    model = p.exported(p.large)
    batches = "4,8" if p.tiny else "4,8,16,32,64"
    runs = p.peer("nll", model / "config.json", p.rows(), "--batches", batches, "--dtype",
                  "float32" if p.rehearsal else "bfloat16", "--seconds", 6)["runs"]
    ran = [run for run in runs if "error" not in run]
    best = max(ran, key=lambda run: run["flop_per_second"])
    words = [f"{what} batch {run['batch']}: {run['tokens_per_second']:,.0f} tokens/s, "
             f"{utilisation(p, run['flop_per_second'])}, peak {run['peak']:,} MiB"
             for what, run in (("in file order,", ran[0]), ("best, longest first,", best))]
    return "; ".join(words + [f"batch {run['batch']}: {run['error']}"
                              for run in runs if "error" in run])


def rank(p: Proof) -> str:
    """Free decoding of exactly so many tokens: random weights hardly ever write an EOS."""
    out = p.folder / "speed.ranked.jsonl"
    done = p.ortscore("rank", p.exported(p.large), "--model-type", "llm", "--decode", "free",
                      "--max-tokens", 48, "--on-error", "equal", "--limit", 8, "--batch-size", 8,
                      "--batch-tokens", 8192, "--in", QUESTIONS, "--out", out, "--force", "--json",
                      seconds=150).must(3)  # none of it is a ranking
    report = json.loads(done.out.splitlines()[-1])
    p.prompt_tokens = report["prompt_tokens"] // report["lists"]
    return (f"{report['lists']} prompts of {p.prompt_tokens} tokens on average and 48 new ones: "
            f"{report['seconds']:.2f} s, {report['steps']} steps, {report['row_steps']} over all "
            f"rows; {memory_of(done)}{arena(report)}")


def rank_peer(p: Proof) -> str:
    done = p.peer("generate", p.exported(p.large) / "config.json", "--prompts", 8, "--tokens",
                  p.prompt_tokens or 450, "--new", 48, "--dtype",
                  "float32" if p.rehearsal else "bfloat16")
    return (f"8 prompts of {p.prompt_tokens or 450} tokens and {done['new']} new ones: "
            f"{done['seconds']:.2f} s; peak {done['peak']:,} MiB")


def left_over(p: Proof) -> str:
    """Nothing runs any more, so whatever the device still holds was left behind."""
    if not GPU:
        raise Skipped("no nvidia-smi on the path")
    return f"{device_memory():,} MiB in use on the device"


STEPS: dict[str, Callable[[Proof], str]] = {
    "machine": machine,
    "models": models,
    "providers": providers,
    "scores, fp32 on the GPU against fp32 on the CPU": fp32_scores,
    "scores, fp16 on the GPU against fp32 on the CPU": fp16_scores,
    "scores, fp16 with full logits": full_scores,
    "rankings, fp16 on the GPU against fp32 on the CPU": rankings,
    "attention kernels": kernels,
    "interrupt": interrupted,
    "out of memory, nll": nll_out_of_memory,
    "out of memory, rank": rank_out_of_memory,
    "peak": peak,
    "exports of random weights": exports,
    "nll, Qwen3-0.6B's shape": items,
    "nll, Qwen3-0.6B's shape, cuDNN's attention": items_cudnn,
    "nll, large model": nll,
    "nll, large model, cuDNN's attention": nll_cudnn,
    "nll, large model, fixed batches": nll_fixed,
    "nll, transformers": nll_peer,
    "rank, large model": rank,
    "rank, transformers' generate": rank_peer,
    "left behind": left_over,
}
