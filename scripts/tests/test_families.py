"""Exports of every family against the logits that torch gave, kept in a dump.

The dump is testdata/goldens/families.json, written by scripts/golden_families.py, which says
what is in it. No torch here: the same weights come from the same seed, and ONNX Runtime runs
the export. test_parity_torch.py compares more and with torch itself, where there is torch.
"""

import json

import numpy as np
import pytest

from helpers import BASE, FAMILIES, OLD_WINDOWS, ROOT, Model, magnitude, random_tensors, write_hf
from ortexport.export import Options, export

DUMP = json.loads((ROOT / "testdata/goldens/families.json").read_text(encoding="utf-8"))
TOLERANCE = 2e-4
PREFILL = 9


def whole(model: Model, ids: list[int]) -> np.ndarray:
    """Logits [len(ids), vocab] of one run over all the ids."""
    return model.run([ids])[0][0]


def in_steps(model: Model, ids: list[int]) -> np.ndarray:
    """The same by a run over the first ids and then one id at a time, on the cache."""
    logits, past = model.run([ids[:PREFILL]])
    rows = [logits[0]]
    for i in range(PREFILL, len(ids)):
        logits, past = model.run([ids[i:i + 1]], np.ones((1, i + 1)), past)
        rows.append(logits[0])
    return np.concatenate(rows)


def largest_difference(logits: np.ndarray, want: dict) -> float:
    """Over everything the dump holds of a family."""
    rows = logits[DUMP["positions"]].astype(np.float64)
    sums = np.log(np.exp(rows).sum(-1))
    return max(np.abs(rows[:, DUMP["words"]] - want["logits"]).max(),
               np.abs(sums - want["logsumexp"]).max())


def test_the_dump_holds_every_family_with_these_weights():
    assert list(DUMP["families"]) == list(FAMILIES)
    for family, want in DUMP["families"].items():
        got = magnitude(random_tensors(BASE | FAMILIES[family]))
        assert got == pytest.approx(want["weights"], abs=2e-3), family


@pytest.mark.parametrize("attention", ["gqa", "explicit"])
@pytest.mark.parametrize("family", FAMILIES)
def test_family(tmp_path, family, attention):
    if OLD_WINDOWS and attention == "gqa" and "window" in family:
        pytest.skip("this ONNX Runtime counts windows otherwise")
    export(write_hf(tmp_path / "hf", family), tmp_path / "out", Options(attention=attention))
    model, want = Model(tmp_path / "out"), DUMP["families"][family]
    worst = max(largest_difference(run(model, DUMP["ids"]), want) for run in (whole, in_steps))
    print(f"{family} {attention}: largest difference {worst:.2g}")
    assert worst < TOLERANCE


@pytest.mark.parametrize(("family", "plain"), [
    ("llama-tied", "llama"), ("llama-biases", "llama"), ("llama3", "llama"),
    ("llama-linear", "llama"), ("mistral-window", "mistral"), ("qwen2-window", "qwen2"),
    ("qwen2", "llama"), ("qwen3", "llama"), ("qwen3-biases", "qwen3")])
def test_the_dump_tells_a_family_from_one_without_its_feature(family, plain):
    """An export that drops the feature lies far outside the tolerance, by torch's own logits."""
    a, b = (np.array(DUMP["families"][name]["logits"]) for name in (family, plain))
    assert np.abs(a - b).max() > 100 * TOLERANCE
