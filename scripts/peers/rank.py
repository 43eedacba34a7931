"""Writes rankings with ortscore and transformers' generate in turn, and prints two Markdown tables.

    python3 -m peers.rank --ortscore BINARY --bench ORT.TEST --peers FOLDER --models MODEL...
        --input ROWS.jsonl [--lists N] [--new N] [--rounds N] [--threads N]

The first: the same prompts, all side by side, with the same number of tokens written after each,
greedily. ORT.TEST is the test binary of package ort, whose BenchmarkPrompts drives the decoder
that `ortscore rank` uses, since rank itself ends a text where it is done. The second: `ortscore
rank` over the same lists, constrained and free.
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

PARTIAL = 3  # rank's exit status where rows had no ranking, as free text may have none


@dataclass
class Line:
    """One line of a table: a name, a way to run it, and what it gave in each round."""

    name: str
    command: list[str]
    runs: list[dict[str, Any]] = field(default_factory=list)

    @property
    def seconds(self) -> list[float]:
        return [run["seconds"] for run in self.runs]


class Bench:
    """The lists in a folder of their own, and how each line is run over them."""

    def __init__(self, args: argparse.Namespace):
        self.args = args
        self.work = args.peers / "rank"
        self.work.mkdir(parents=True, exist_ok=True)
        self.python = str(args.peers / "torch" / "bin" / "python")
        self.child([self.python, "-m", "peers.lists", str(args.models[0]), str(args.input),
                    str(self.work), "--lists", str(args.lists)])
        self.prompts = json.loads((self.work / "prompts.json").read_text("utf-8"))
        self.tokens = sum(map(len, self.prompts))

    def child(self, command: list[str], **options: Any) -> dict[str, Any]:
        return child.run(command, self.work / "log.txt", self.args.threads, **options)

    def generators(self) -> list[Line]:
        lines = [Line(f"ortscore, {model.name}", [str(model)]) for model in self.args.models]
        generate = [self.python, "-m", "peers.torch_generate",
                    str(self.args.peers / "weights" / "hf"), str(self.work / "prompts.json"),
                    "--new", str(self.args.new), "--threads", str(self.args.threads), "--dtype"]
        return lines + [Line(f"transformers generate, {dtype}", [*generate, dtype])
                        for dtype in ("fp32", "bf16")]

    def generate(self, line: Line) -> dict[str, Any]:
        if line.command[0] == self.python:
            return self.child(line.command)
        job, out = self.work / "job.json", self.work / "generated.json"
        job.write_text(json.dumps({
            "Model": str((Path(line.command[0]) / "model.onnx").resolve()),
            "Threads": self.args.threads, "Rows": len(self.prompts), "New": self.args.new,
            "Prompts": self.prompts, "Out": str(out.resolve())}), "utf-8")
        # What Go's benchmarks print is no JSON.
        run = self.child(["sh", "-c", 'exec "$0" "$@" >&2', str(self.args.bench),
                          "-test.run", "^$", "-test.bench", "^BenchmarkPrompts$",
                          "-test.benchtime", "1x"], ORTSCORE_BENCH_PROMPTS=str(job.resolve()))
        return json.loads(out.read_text("utf-8")) | run

    def decoders(self) -> list[Line]:
        rank = [str(self.args.ortscore), "rank", "--onnx", str(self.args.models[0]),
                "--order", "input", "--threads", str(self.args.threads),
                "--batch-size", str(len(self.prompts)), "--on-error", "skip",
                "--out", str(self.work / "ranked.jsonl"), "--force", "--json", "--quiet",
                str(self.work / "lists.jsonl")]
        return [Line("constrained", [*rank, "--decode", "constrained"]),
                Line("free", [*rank, "--decode", "free", "--max-tokens", str(self.args.new)])]

    def rank(self, line: Line) -> dict[str, Any]:
        run = self.child(line.command, ok=(0, PARTIAL))
        if run["prompt_tokens"] != self.tokens:
            raise child.Failed(f"want {self.tokens} tokens in the prompts of ortscore rank, "
                               f"got {run['prompt_tokens']}")
        # The first token of a text comes with its prompt, each further one with a step; what a
        # ranking forces takes none.
        run["written"] = (run["full_tokens"] if line.name == "constrained"
                          else run["row_steps"] + run["lists"])
        return run


def generated(bench: Bench, lines: list[Line]) -> str:
    args, first = bench.args, lines[0]
    reference = next(line for line in lines if line.name == "transformers generate, fp32")
    want, asked = reference.runs[0]["tokens"], len(bench.prompts) * args.new
    body = []
    for line in lines:
        seconds = stats.median(line.seconds)
        body.append([line.name, f"{seconds:.1f}", f"{asked / seconds:.1f}",
                     f"{stats.ratio(line.seconds, first.seconds):.2f}",
                     f"{stats.equal_tokens(line.runs[-1]['tokens'], want)} of {asked}",
                     f"{max(run['peak'] for run in line.runs):,.0f}"])
    return stats.table(["", "seconds", "new tokens/s", "ortscore is faster by",
                        "equal tokens", "peak MiB"], body)


def decoded(lines: list[Line]) -> str:
    body = []
    for line in lines:
        seconds, run = stats.median(line.seconds), line.runs[-1]
        malformed = run["malformed"] + run["truncated"]
        body.append([line.name, f"{seconds:.1f}", str(run["steps"]), str(run["row_steps"]),
                     str(run["written"]), f"{run['written'] / seconds:.1f}",
                     f"{malformed} of {run['lists']}"])
    return stats.table(["ortscore rank", "seconds", "steps", "row steps", "tokens written",
                        "tokens/s", "malformed"], body)


def report(bench: Bench, generators: list[Line], decoders: list[Line]) -> str:
    args, lengths = bench.args, [len(p) for p in bench.prompts]
    versions = ", ".join(dict.fromkeys(
        [f"ortscore {decoders[0].runs[0]['version']}"]
        + [line.runs[0]["version"] for line in generators if "version" in line.runs[0]]))
    return "\n".join([
        generated(bench, generators), "", decoded(decoders), "",
        f"{datetime.date.today()}, {child.machine()}; {args.threads} threads; {versions}.", "",
        f"{len(lengths)} prompts of {min(lengths)} to {max(lengths)} tokens, {bench.tokens:,} "
        f"together, side by side; {args.new} tokens after each in the first table, at most as many "
        f"in free decoding; {args.rounds} rounds in turn: medians of seconds and of ratios, peaks "
        "of memory; prompts read within the time, the model loaded before. Equal are a text's "
        "tokens before the first that is another than transformers writes in fp32."])


def main(argv: list[str]) -> int:
    parser = child.arguments("bench-rank")
    parser.add_argument("--bench", type=Path, required=True)
    parser.add_argument("--lists", type=int, default=8)
    parser.add_argument("--new", type=int, default=48, help="tokens written after a prompt")
    args = parser.parse_args(argv)
    try:
        bench = Bench(args)
        generators, decoders = bench.generators(), bench.decoders()
        ways = ([(line, bench.generate) for line in generators]
                + [(line, bench.rank) for line in decoders])
        for turn in range(args.rounds):
            for line, run in ways:
                line.runs.append(run(line))
                child.note(f"bench-rank: round {turn + 1}: {line.name}: {line.seconds[-1]:.1f} s")
    except child.Failed as err:
        child.note(f"bench-rank: error: {err}")
        return 2
    print(report(bench, generators, decoders))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
