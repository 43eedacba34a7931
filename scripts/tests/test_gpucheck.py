"""The arithmetic of the GPU proof, and how it takes what goes wrong."""

import json
import sys

import numpy as np
import pytest

from gpucheck import process, work
from gpucheck.__main__ import parse, table
from gpucheck.compare import difference, spearman
from gpucheck.process import StepError, last_line, run
from gpucheck.proof import Proof, form_of
from helpers import ROOT


def test_spearman():
    assert spearman([1, 2, 3], [10, 20, 30]) == pytest.approx(1)
    assert spearman([1, 2, 3], [3, 2, 1]) == pytest.approx(-1)
    # Ties share a rank: 1.5 and 1.5 against 1 and 2.
    assert spearman([1, 1, 5], [1, 2, 5]) == pytest.approx(np.sqrt(3) / 2)
    assert spearman([7, 7], [7, 7]) == 1 and spearman([7, 7], [1, 2]) == 0


def test_difference(tmp_path):
    a, b = tmp_path / "a", tmp_path / "b"
    a.write_text('{"teacher_scores": [-1, -2]}\n{"pos_scores": [1], "neg_scores": [0.5]}\n')
    b.write_text('{"teacher_scores": [-1, -2.5]}\n{"pos_scores": [0.25], "neg_scores": [0.5]}\n')
    got = difference(a, b)
    assert (got.largest, got.spearman, got.least) == (0.75, 0, -1)
    for path in (a, b):
        path.write_text('{"teacher_scores": [-1]}\n{"teacher_scores": [-2]}\n')
    assert difference(a, b).least == 1, "rows of one passage are compared over the file"
    b.write_text('{"teacher_scores": [-1, -2]}\n')
    with pytest.raises(ValueError, match="zip"):
        difference(a, b)


def test_rows_are_as_long_as_they_say_and_none_is_twice(tmp_path):
    work.write_rows(tmp_path / "rows", 100, 50, 90)
    rows = work.read_rows(tmp_path / "rows")
    lengths = [len(ids) for ids, _ in rows]
    assert len({tuple(ids) for ids, _ in rows}) == 50
    assert min(lengths) >= 45 and max(lengths) <= 90
    assert all(answer == work.ANSWER and min(ids) >= 20 and max(ids) < 100 for ids, answer in rows)


def test_flop_by_hand():
    config = {"hidden_size": 8, "num_hidden_layers": 3, "num_attention_heads": 2,
              "num_key_value_heads": 1, "head_dim": 4, "intermediate_size": 16, "vocab_size": 50}
    layer = 8 * 8 + 2 * 8 * 4 + 8 * 8 + 3 * 8 * 16  # q, k and v, o, the feed-forward
    # Scores and mixing, each 2 operations a pair, head and number, for half of the pairs.
    attention = 2 * 2 * 10 * 10 * 2 * 4 / 2
    want = 2 * 3 * layer * 10 + 3 * attention + 2 * 50 * 8 * 4
    assert work.flop(config, [([0] * 10, 4)]) == want


def test_a_command_that_takes_too_long_is_killed():
    with pytest.raises(StepError, match="ran past 1 s"):
        run([sys.executable, "-c", "import time; time.sleep(60)"], 1)


def test_an_interrupt_and_a_bound_reach_the_command():
    sleep = "import time\ntry: time.sleep(60)\nexcept KeyboardInterrupt: raise SystemExit(7)"
    assert run([sys.executable, "-c", sleep], 30, interrupt_after=1).code == 7
    big = run([sys.executable, "-c", "b = bytearray(1 << 32)"], 30, address_space=1 << 30)
    assert big.code == 1 and "MemoryError" in big.err
    assert run([sys.executable, "-c", "print(5)"], 30).must().out == "5\n"
    with pytest.raises(StepError, match="exit code 1: MemoryError"):
        big.must()


def test_last_line_is_the_error():
    assert last_line("ortscore: error: no model\nortscore: hint: make demo\n") == \
        "ortscore: error: no model"
    assert last_line("a\nb\n\n") == "b" and last_line("") == "no output"


def test_forms():
    assert form_of(ROOT / "testdata" / "tiny-gqa") == "fp32-gqa"
    assert form_of(ROOT / "testdata" / "tiny-explicit") == "fp32-explicit"
    assert form_of(ROOT / "testdata" / "tiny-gqa-fp16") == "fp16-gqa"


def test_steps_stop_where_the_time_is_up(tmp_path):
    proof = Proof(parse(["--rehearse", "--minutes", "0", "lib", "model"]), tmp_path)
    with pytest.raises(StepError, match="the time was up"):
        proof.limit(60)
    with pytest.raises(StepError, match="no model that is fp32-explicit"):
        proof.model("fp32-explicit")


def test_the_table_is_one(monkeypatch):
    text = table([("a", "x | y\nz", 1.4), ("b", "**failed**: no", 0)], rehearsal=True)
    assert "| a | x \\| y z | 1 |" in text and "its figures mean nothing" in text


def test_device_memory_is_the_first_devices(monkeypatch):
    monkeypatch.setattr(process.subprocess, "run",
                        lambda *_, **__: type("R", (), {"stdout": "1234\n"}))
    assert process.device_memory() == 1234
    assert json.dumps(process.host_memory(1)).isdigit()
