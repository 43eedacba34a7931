"""Exports a Llama-family checkpoint to ONNX, without torch.

    python scripts/export_onnx.py SOURCE OUT_DIR [--dtype fp32|fp16|int8] [--attention gqa|explicit]
        [--pack none|qkv|all]
    python scripts/export_onnx.py --random llama-7b SOURCE OUT_DIR [--seed N] ...

SOURCE is a .gguf file or a Hugging Face folder with config.json and safetensors. OUT_DIR gets
model.onnx, model.onnx.data, tokenizer.json, config.json and what else the checkpoint has.

With --random the weights are random, in the shape of a real model, to measure speed where there
is no checkpoint. SOURCE is then a folder with a byte-level tokenizer.json, which is cut to the
shape's vocabulary. A peer that is measured beside it makes weights of its own from config.json.
Exit codes: 0 done, 2 refused or failed, 130 interrupted.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from ortexport.errors import ExportError
from ortexport.export import Options, export
from ortexport.random import SHAPES


def parse(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="export_onnx", description="export a Llama-family checkpoint to ONNX")
    parser.add_argument("source", type=Path, metavar="SOURCE",
                        help="a .gguf file, or a folder with config.json and safetensors; "
                        "with --random, a folder with a tokenizer.json")
    parser.add_argument("out", type=Path, metavar="OUT_DIR", help="the folder to write")
    parser.add_argument("--dtype", choices=("fp32", "fp16", "int8"), default="fp32",
                        help="type of weights, activations and cache; int8, for CPUs with VNNI or "
                        "AMX, rounds the layers' weights and what they are multiplied with, and "
                        "leaves embedding, attention, head and cache in fp32 (default fp32)")
    parser.add_argument("--attention", choices=("gqa", "explicit"), default="gqa",
                        help="fused GroupQueryAttention, or plain operators (default gqa)")
    parser.add_argument("--pack", choices=("none", "qkv", "all"),
                        help="layers that become one multiply, for fewer launches on a GPU: query, "
                        "key and value where GroupQueryAttention takes them as one tensor (qkv), "
                        "or these always, and gate and up, with a Split after (all) (default qkv "
                        "for fp16, else none: nothing is won on a CPU)")
    parser.add_argument("--context", type=int, metavar="N",
                        help="longest context to support (default the checkpoint's own)")
    parser.add_argument("--tokenizer", type=Path, metavar="DIR",
                        help="take tokenizer.json and its companions from this folder")
    parser.add_argument("--random", choices=tuple(SHAPES), metavar="SHAPE",
                        help=f"random weights in the shape of {' or '.join(SHAPES)}")
    parser.add_argument("--seed", type=int, default=0, help="of random weights (default 0)")
    parser.add_argument("--force", action="store_true", help="replace OUT_DIR where it exists")
    return parser.parse_args(argv)


def pack(args: argparse.Namespace) -> str:
    """fp16 is for GPUs, where a launch may take as long as its work; elsewhere nothing is won."""
    return args.pack or ("qkv" if args.dtype == "fp16" else "none")


def main(argv: list[str]) -> int:
    args = parse(argv)
    start = time.monotonic()
    try:
        done = export(args.source, args.out, Options(
            dtype=args.dtype, attention=args.attention, pack=pack(args), context=args.context,
            tokenizer=args.tokenizer, force=args.force, random=args.random, seed=args.seed))
    except ExportError as err:
        print(f"export_onnx: error: {err.message}", file=sys.stderr)
        if err.hint:
            print(f"export_onnx: hint: {err.hint}", file=sys.stderr)
        return 2
    except OSError as err:
        print(f"export_onnx: error: {err.filename or args.out}: {err.strerror or err}",
              file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("export_onnx: error: interrupted", file=sys.stderr)
        return 130
    print(f"{args.out}: {done.num_params / 1e6:.1f} M parameters, {args.dtype}, {args.attention}, "
          f"{done.num_bytes / 1e6:.1f} MB, {time.monotonic() - start:.1f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
