"""Scores the same rows with ortscore and its peers in turn, and prints one Markdown table.

    python3 -m peers.nll --ortscore BINARY --peers FOLDER --models MODEL... --input ROWS.jsonl
        [--rows N] [--passages N] [--rounds N] [--threads N]

FOLDER is what `make bench-peers` fills: torch and llama, an environment each, and weights. Each
MODEL, a folder, is a line of the table; the others are compared with the first.
"""

from __future__ import annotations

import argparse
import datetime
import json
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from peers import child, stats

# What is tried once, over the first passages of the first row, for the best batch.
TORCH_BATCHES = (8, 16, 32)
LLAMA_BATCHES = (1, 2, 4, 8)
TRIED_PASSAGES = 64


@dataclass
class Line:
    """One line of the table: a way of one peer, and what it gave in each round."""

    name: str
    command: list[str]  # all but the sequences, the batch and the threads
    batches: tuple[int, ...] = ()  # to choose from
    runs: list[dict[str, Any]] = field(default_factory=list)

    @property
    def seconds(self) -> list[float]:
        return [run["seconds"] for run in self.runs]

    @property
    def label(self) -> str:
        return f"{self.name}, batch {self.batches[0]}" if self.batches else self.name


class Bench:
    """The rows in a folder of their own, and how each line is run over them."""

    def __init__(self, args: argparse.Namespace):
        self.args = args
        self.work = args.peers / "nll"
        self.work.mkdir(parents=True, exist_ok=True)
        with open(args.models[0] / "config.json", encoding="utf-8") as file:
            self.config = json.load(file)
        self.rows = read_rows(args.input, args.rows, args.passages)
        self.sequences = self.tokenise("rows", self.rows)
        first = read_rows(args.input, 1, min(args.passages or TRIED_PASSAGES, TRIED_PASSAGES))
        self.tokenise("first", first)

    def tokenise(self, name: str, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        source, out = self.work / f"{name}.jsonl", self.work / f"{name}.json"
        source.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        self.child([self.python("torch"), "-m", "peers.sequences",
                    str(self.args.models[0] / "tokenizer.json"), str(source), str(out)])
        return json.loads(out.read_text(encoding="utf-8"))

    def python(self, environment: str) -> str:
        return str(self.args.peers / environment / "bin" / "python")

    def child(self, command: list[str]) -> dict[str, Any]:
        return child.run(command, self.work / "log.txt", self.args.threads)

    def lines(self) -> list[Line]:
        weights = self.args.peers / "weights"
        torch = [self.python("torch"), "-m", "peers.torch_nll", str(weights / "hf")]
        llama = [self.python("llama"), "-m", "peers.llama_nll", str(weights / "f32.gguf")]
        lines = [Line(f"ortscore, {model.name}", [str(self.args.ortscore), str(model)])
                 for model in self.args.models]
        for dtype in ("fp32", "bf16"):
            lines += [Line(f"torch {dtype}, file order", [*torch, "--dtype", dtype], (4,)),
                      Line(f"torch {dtype}, sorted", [*torch, "--dtype", dtype, "--sort"],
                           TORCH_BATCHES)]
        return [*lines, Line("llama.cpp f32, sorted", llama, LLAMA_BATCHES)]

    def run(self, line: Line, name: str = "rows") -> dict[str, Any]:
        """One run, with `seconds` of scoring and `scores` of each row."""
        if not line.batches:
            return self.run_ortscore(*line.command, name)
        run = self.child([*line.command, str(self.work / f"{name}.json"),
                          "--batch", str(line.batches[0]), "--threads", str(self.args.threads)])
        scores = iter(run["scores"])
        run["scores"] = [[next(scores) for _ in passages(row)] for row in self.rows
                         ] if name == "rows" else []
        return run

    def run_ortscore(self, binary: str, model: str, name: str) -> dict[str, Any]:
        out = self.work / "scored.jsonl"
        run = self.child([binary, "nll", "--onnx", model, "--threads", str(self.args.threads),
                          "--out", str(out), "--force", "--json", "--quiet",
                          str(self.work / f"{name}.jsonl")])
        with open(out, encoding="utf-8") as file:
            run["scores"] = [json.loads(line)["teacher_scores"] for line in file]
        run["version"] = f"ortscore {run['version']}"
        return run

    def settle(self, line: Line) -> None:
        """Runs a line once unmeasured, so that its files are in memory, and chooses its batch."""
        if len(line.batches) < 2:
            self.run(line, "first")
            return
        tried = {}
        for batch in line.batches:
            one = Line(line.name, line.command, (batch,))
            tried[batch] = self.run(one, "first")["seconds"]
            child.note(f"bench-peers: tried {one.label}: {tried[batch]:.1f} s")
        line.batches = (min(tried, key=tried.get),)


def passages(row: dict[str, Any]) -> list[str]:
    return row.get("pos", []) + row.get("neg", [])


def read_rows(path: Path, rows: int, most: int) -> list[dict[str, Any]]:
    """The first rows of a file, each with its first passages, at most `most`; 0 is all."""
    out = []
    with open(path, encoding="utf-8") as file:
        for line in file:
            if rows and len(out) == rows:
                break
            row = json.loads(line)
            kept = passages(row)[:most or None]
            split = len(row.get("pos", []))
            out.append({"query": row["query"], "answers": row["answers"],
                        "pos": kept[:split], "neg": kept[split:]})
    return out


def report(bench: Bench, lines: list[Line], peaks: list[dict[str, Any]]) -> str:
    lengths = [(len(s["ids"]), s["num_answer"]) for s in bench.sequences]
    tokens, flops = sum(n for n, _ in lengths), stats.work(bench.config, lengths)
    first = lines[0]
    reference = next(line for line in lines if line.name.startswith("torch fp32, file order"))
    want = reference.runs[0]["scores"]
    best = max((r for peak in peaks for r in peak["results"]), key=lambda r: r["gflops"])
    body = []
    for line in lines:
        seconds, scores = stats.median(line.seconds), line.runs[-1]["scores"]
        # What ortscore computes once for several sequences is no work that it did.
        did = 1 - line.runs[-1].get("shared_tokens", 0) / tokens
        share = did * flops / seconds / 1e9 / best["gflops"]
        body.append([
            line.label, f"{tokens / seconds:,.0f}",
            f"{stats.ratio(line.seconds, first.seconds):.2f}", f"{100 * share:.0f}%",
            f"{stats.largest_difference(scores, want):.1e}",
            f"{stats.lowest_spearman(scores, want):.4f}",
            f"{max(run['peak'] for run in line.runs):,.0f}"])
    head = ["", "tokens/s", "ortscore is faster by", "share of the fp32 peak",
            "largest difference", "lowest Spearman", "peak MiB"]
    versions = ", ".join(dict.fromkeys([run["version"] for line in lines for run in line.runs[:1]]
                                       + [peaks[0]["version"]]))
    args, shape = bench.args, " x ".join(map(str, best["shape"]))
    return "\n".join([
        stats.table(head, body), "",
        f"{datetime.date.today()}, {child.machine()}; {args.threads} threads; {versions}.", "",
        f"{args.input.name}: {len(bench.rows)} rows, {len(lengths)} passages, {tokens:,} tokens, "
        f"{sum(n for _, n in lengths):,} of them of answers; {args.rounds} rounds in turn: medians "
        f"of tokens/s and of ratios, peaks of memory; the model's loading left out. Differences "
        f"from {reference.label}, in nats; Spearman within a query.", "",
        f"sgemm: {best['gflops']:,.0f} GFLOP/s, the best of torch, numpy and ONNX Runtime "
        f"({best['by']}, {shape}). The scores need {flops / tokens / 1e6:,.0f} MFLOP a token: "
        "2 x the weights of the layers' matrix multiplies, 4 x heads x head size x layers for each "
        "pair under the causal mask, and 2 x hidden x vocabulary for an answer's tokens alone. "
        f"Of the tokens, {100 * first.runs[-1]['shared_tokens'] / tokens:.1f}% are beginnings that "
        "ortscore computes once for several sequences: they are not in its share."])


def main(argv: list[str]) -> int:
    parser = child.arguments("bench-peers")
    parser.add_argument("--rows", type=int, default=0, help="of the input; 0 is all")
    parser.add_argument("--passages", type=int, default=0, help="of a row; 0 is all")
    args = parser.parse_args(argv)
    try:
        bench = Bench(args)
        lines = bench.lines()
        for line in lines:
            bench.settle(line)
        peaks = []
        for turn in range(args.rounds):
            peaks.append(bench.child([bench.python("torch"), "-m", "peers.sgemm",
                                      "--threads", str(args.threads)]))
            for line in lines:
                line.runs.append(bench.run(line))
                child.note(f"bench-peers: round {turn + 1}: {line.label}: {line.seconds[-1]:.1f} s")
    except child.Failed as err:
        child.note(f"bench-peers: error: {err}")
        return 2
    print(report(bench, lines, peaks))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
