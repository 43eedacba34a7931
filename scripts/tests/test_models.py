"""The parts of make models that need no torch, and the table that it wrote."""

from __future__ import annotations

import json
import math

import pytest

from helpers import ROOT
from models import confidence, families, table, teacher, texts


def test_confidence_is_a_stick_broken_by_the_choices():
    got = confidence.confidence([2, 0, 1], [0.5, 0.75])
    want = {2: math.log(0.5), 0: math.log(0.375), 1: math.log(0.125)}
    assert got == pytest.approx([want[0], want[1], want[2]])


def test_confidence_never_rises_along_the_order():
    got = confidence.confidence([0, 1, 2], [0.1, 0.9])
    assert got[0] >= got[1] >= got[2]
    assert sum(map(math.exp, got)) == pytest.approx(1)


def test_rows_and_lists_are_of_unlike_lengths():
    rows = [len(row["pos"][0]) for row in texts.rows()]
    assert min(rows) < 10 and max(rows) > 600
    lists = [sum(map(len, row["pos"] + row["neg"])) for row in texts.lists()]
    assert max(lists) > 10 * min(lists)
    # What rank would change in a text, the reference would have to change too.
    for row in texts.lists():
        for text in [row["query"], *row["pos"], *row["neg"]]:
            assert text == " ".join(text.split()) and "[" not in text


def test_the_first_error_is_what_ortscore_says():
    assert teacher.words("ortscore: note: a\nortscore: error: b\nortscore: hint: c\n") == "b"
    assert teacher.words("killed\n") == "killed"


def save(work, name, **result):
    folder = work / name
    folder.mkdir()
    (folder / "result.json").write_text(json.dumps(result))


def test_document(tmp_path):
    def ran(value, notes=()):
        return {"notes": list(notes), "alone": value, "together": 0.25}
    slow = "x: every step reads the whole text again, which is slow"
    save(tmp_path, "llama-optimum", graph={"nll": 1e-6, "rank": 0.5}, nll=ran(1e-6),
         rank=ran(2e-6, [slow]))
    save(tmp_path, "bert-optimum", nll={"error": "/a/x/model.onnx: not | causal"}, rank={})
    for name in ("gpt2", "gpt-j"):
        save(tmp_path, f"{name}-genai", refused=f"The /tmp/{name} model is not supported.")
    got = table.document(tmp_path, "optimum 1")
    assert ("| llama | optimum | scoring graph; no cache"
            " | 1e-06 | 1e-06 | **0.25** | **0.5** | 2e-06 | **0.25** |") in got
    assert "| llama | optimum | 1e-06 | **0.5** | not known |" in got
    assert "| bert | optimum | refused: model.onnx: not \\| causal |" in got
    assert "| onnxruntime-genai | The ... model is not supported. | gpt2, gpt-j |" in got


def test_the_table_has_every_family():
    text = (ROOT / "docs/models.md").read_text(encoding="utf-8")
    for name in families.FAMILIES:
        assert name in text
    assert "not known" not in text
