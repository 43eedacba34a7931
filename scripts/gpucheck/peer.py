"""The same work by transformers, in a process of its own; prints one JSON object.

    python -m gpucheck.peer matmul --device cuda
    python -m gpucheck.peer nll CONFIG ROWS --batches 4,8,16 --seconds 10
    python -m gpucheck.peer generate CONFIG --prompts 8 --tokens 500 --new 48

The model has CONFIG's shape and random weights of its own: only its speed means anything.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import torch

from .work import flop, read_rows


def wait(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


def peak(device: str) -> int:
    """MiB that torch held at most since the last call."""
    if device != "cuda":
        return 0
    most = torch.cuda.max_memory_reserved() >> 20
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    return most


def load(config: Path, device: str, dtype: torch.dtype):
    """The model, made on the device: on the host 7 billion weights would take minutes."""
    from transformers import AutoModelForCausalLM, LlamaConfig
    values = json.loads(config.read_text())
    for name in ("torch_dtype", "dtype"):  # the export's; the peer has its own
        values.pop(name, None)
    with torch.device(device):
        model = AutoModelForCausalLM.from_config(
            LlamaConfig.from_dict(values), dtype=dtype, attn_implementation="sdpa")
    return model.to(device=device, dtype=dtype).eval()


def matmul(device: str) -> dict[str, Any]:
    """TFLOP/s of square products, the mean of ten after three."""
    out: dict[str, Any] = {}
    size = 8192 if device == "cuda" else 512
    for name in ("bfloat16", "float16") if device == "cuda" else ("float32",):
        a, b = (torch.randn(size, size, device=device, dtype=getattr(torch, name))
                for _ in range(2))
        for i in range(13):
            if i == 3:
                wait(device)
                start = time.perf_counter()
            a @ b
        wait(device)
        out[name] = 10 * 2 * size ** 3 / (time.perf_counter() - start) / 1e12
    return out


def batches(rows: list, size: int) -> list[list]:
    return [rows[i:i + size] for i in range(0, len(rows), size)]


@torch.inference_mode()
def score(model, group: list, device: str) -> list[float]:
    """Mean log-likelihoods as the reference computes them: the logits of all tokens, a log-softmax
    in the model's own precision, padding on the right to the longest of the batch."""
    width = max(len(ids) for ids, _ in group)
    ids = torch.zeros(len(group), width, dtype=torch.long)
    mask = torch.zeros(len(group), width, dtype=torch.long)
    for i, (tokens, _) in enumerate(group):
        ids[i, :len(tokens)] = torch.tensor(tokens)
        mask[i, :len(tokens)] = 1
    ids, mask = ids.to(device), mask.to(device)
    logits = model(input_ids=ids, attention_mask=mask).logits
    logs = torch.log_softmax(logits[:, :-1], dim=-1)
    logs = logs.gather(2, ids[:, 1:, None])[:, :, 0].float()
    return [logs[i, len(tokens) - answer - 1:len(tokens) - 1].mean().item()
            for i, (tokens, answer) in enumerate(group)]


def nll(args: argparse.Namespace, dtype: torch.dtype) -> dict[str, Any]:
    """One entry a batch size: tokens/s without padding. The first, the reference's, takes the rows
    as they stand in the file; the others take the longest first."""
    config = json.loads(args.config.read_text())
    model = load(args.config, args.device, dtype)
    rows = read_rows(args.rows)
    runs = []
    for i, size in enumerate(int(size) for size in args.batches.split(",")):
        ordered = rows if i == 0 else sorted(rows, key=lambda row: -len(row[0]))
        groups = batches(ordered, size)
        done: list = []
        try:
            score(model, groups[0], args.device)  # a first batch takes memory and kernels
            wait(args.device)
            start = time.perf_counter()
            for group in groups:
                score(model, group, args.device)
                done += group
                if time.perf_counter() - start > args.seconds:
                    break
            seconds = time.perf_counter() - start
        except torch.OutOfMemoryError:
            runs.append({"batch": size, "error": "out of memory"})
            peak(args.device)
            break
        runs.append({"batch": size, "seconds": seconds, "sequences": len(done),
                     "tokens_per_second": sum(len(ids) for ids, _ in done) / seconds,
                     "flop_per_second": flop(config, done) / seconds, "peak": peak(args.device)})
    return {"runs": runs}


@torch.inference_mode()
def generate(args: argparse.Namespace, dtype: torch.dtype) -> dict[str, Any]:
    """The second of two runs of greedy decoding, of exactly as many tokens as are asked for."""
    model = load(args.config, args.device, dtype)
    ids = torch.randint(20, model.config.vocab_size, (args.prompts, args.tokens),
                        device=args.device)
    for _ in range(2):
        wait(args.device)
        start = time.perf_counter()
        out = model.generate(input_ids=ids, attention_mask=torch.ones_like(ids), do_sample=False,
                             max_new_tokens=args.new, min_new_tokens=args.new, pad_token_id=0)
        wait(args.device)
        seconds = time.perf_counter() - start
    return {"seconds": seconds, "new": int(out.shape[1] - args.tokens), "peak": peak(args.device)}


def main() -> None:
    parser = argparse.ArgumentParser(prog="gpucheck.peer")
    parser.add_argument("what", choices=("matmul", "nll", "generate"))
    parser.add_argument("config", type=Path, nargs="?")
    parser.add_argument("rows", type=Path, nargs="?")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--dtype", default="bfloat16")
    parser.add_argument("--batches", default="4,8,16,32,64")
    parser.add_argument("--seconds", type=float, default=8)
    for name in ("--prompts", "--tokens", "--new"):
        parser.add_argument(name, type=int, default=8)
    args = parser.parse_args()
    torch.manual_seed(0)
    dtype = getattr(torch, args.dtype)
    if args.what == "matmul":
        out = matmul(args.device)
    else:
        out = nll(args, dtype) if args.what == "nll" else generate(args, dtype)
    print(json.dumps(out | {"torch": torch.__version__}))


if __name__ == "__main__":
    main()
