"""Print where the time of make profile's run went: profile_table.py FOLDER.

FOLDER holds ort_*.json, ONNX Runtime's profile, and cpu.txt, what go tool pprof -top -cum says of
Go's. ONNX Runtime's times are microseconds by the clock; Go's are those of the processor, over all
threads, and those of C code stand under the Go function that called it or, on a thread of C's own,
under _ExternalCode.
"""

import json
import re
import sys
from collections import Counter
from pathlib import Path

PARTS = {"norm": "norm/", "attention": "/attn/", "MLP": "/mlp/",
         "head, log-softmax": "^ortscore|/lm_head/"}
INSIDE = re.compile(r"ort\.\(\*LM\)\.LogProbs$|runtime\._ExternalCode$")


def part(node: str) -> str:
    return next((name for name, pattern in PARTS.items() if re.search(pattern, node)),
                "embedding, mask")


def flops(matmul: dict) -> tuple[str, float]:
    """A MatMul's weights [in, out] as text, and its floating point operations."""
    args = matmul["args"]
    (first, *_), (out,) = ([next(iter(t.values())) for t in args[f"{end}_type_shape"]]
                           for end in ("input", "output"))
    work = 2.0 * first[-1]
    for dim in out:
        work *= dim
    return f"{first[-1]} x {out[-1]}", work


def table(title: str, shares: Counter[str], whole: float) -> None:
    print(f"\n| {title} | share of the model's time |\n|---|---|")
    for name, time in shares.most_common():
        if time >= whole / 1000:
            print(f"| {name} | {100 * time / whole:.1f}% |")


def outside_runtime(top: str) -> float:
    """The share of the processor's time that was not ONNX Runtime's, in percent."""
    inside = 0.0
    for line in top.splitlines():
        fields = line.split(maxsplit=5)
        if len(fields) == 6 and INSIDE.search(fields[5]):
            inside += float(fields[4].rstrip("%"))
    return 100 - inside


def main() -> None:
    folder = Path(sys.argv[1])
    (path,) = folder.glob("ort_*.json")
    events = json.loads(path.read_text(encoding="utf-8"))
    # The first run is the probe with which a model is opened.
    probe, *runs = (e for e in events if e["name"] == "model_run")
    start, end = probe["ts"] + probe["dur"], runs[-1]["ts"] + runs[-1]["dur"]
    busy = sum(e["dur"] for e in runs)
    nodes = [e for e in events if e["cat"] == "Node" and e["ts"] > start]
    operators, parts, shapes, work = Counter(), Counter(), Counter(), Counter()
    for e in nodes:
        operators[e["args"]["op_name"]] += e["dur"]
        parts[part(e["name"].removesuffix("_kernel_time"))] += e["dur"]
        if e["args"]["op_name"] == "MatMul":
            shape, n = flops(e)
            shapes[shape] += e["dur"]
            work[shape] += n
    for shares in operators, parts:
        shares["between operators"] = busy - operators.total() + operators["between operators"]
    table("operator", operators, busy)
    table("part", parts, busy)
    print("\n| weights of a MatMul | share of the model's time | GFLOP/s |\n|---|---|---|")
    for shape, time in shapes.most_common():
        print(f"| {shape} | {100 * time / busy:.1f}% | {work[shape] / time / 1e3:.0f} |")
    print("\n| | |\n|---|---|")
    print(f"| the run, from the first line read | {(end - start) / 1e6:.2f} s |")
    print(f"| the model idle | {100 * (1 - busy / (end - start)):.2f}% |")
    outside = outside_runtime((folder / "cpu.txt").read_text(encoding="utf-8"))
    print(f"| processor time outside ONNX Runtime | {outside:.2f}% |")


if __name__ == "__main__":
    main()
