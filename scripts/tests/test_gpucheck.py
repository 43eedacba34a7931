"""The arithmetic of the GPU proof, and how it takes what goes wrong."""

import json
import sys

import numpy as np
import pytest

from gpucheck import attention, device, process, steps, work
from gpucheck.__main__ import parse, table
from gpucheck.compare import difference, spearman
from gpucheck.process import StepError, last_line, run
from gpucheck.proof import Proof, form_of
from helpers import ROOT
from ortexport.random import SHAPES


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


def test_the_table_is_one(tmp_path):
    rows = [("a", "x | y\nz", 1.4), ("b", "**failed**: no", 0)]
    text = table(rows, proof_of(tmp_path, "--rehearse"))
    assert "| a | x \\| y z | 1 |" in text and "on cpu" in text and "figures mean nothing" in text
    assert "on cuda" in table(rows, proof_of(tmp_path, "--tiny"))
    assert "rehearsal" not in table(rows, proof_of(tmp_path))


def test_device_memory_is_the_first_devices(monkeypatch):
    monkeypatch.setattr(process.subprocess, "run",
                        lambda *_, **__: type("R", (), {"stdout": "1234\n"}))
    assert process.device_memory() == 1234
    assert json.dumps(process.host_memory(1)).isdigit()


def test_rows_of_one_length(tmp_path):
    work.write_rows(tmp_path / "rows", 1000, 20, 300, shortest=300, answer=1)
    rows = work.read_rows(tmp_path / "rows")
    assert {len(ids) for ids, _ in rows} == {300} and {answer for _, answer in rows} == {1}
    assert len({tuple(ids[:2]) for ids, _ in rows}) == 20


def test_attention_kernels_are_counted():
    line = ("\x1b[36mOperator=GroupQueryAttention Node=/model/layers.{}/attn DataType=fp16 "
            "SdpaKernel={} NumSplits=0 EffectiveKvLengthBound=24\x1b[0m\n")
    text = "AttentionKernelOptions: FLASH_ATTENTION=1 CUDNN_FLASH_ATTENTION=0\n" + "".join(
        line.format(i, name) for i in range(2)
        for name in ("FLASH_ATTENTION", "XQA", "FLASH_ATTENTION"))
    assert attention.count(text + '{"rows":1}\n') == (
        "GroupQueryAttention by FLASH_ATTENTION 4 times, GroupQueryAttention by XQA 2 times")
    assert attention.count("ortscore: wrote out\n") == ""


class Runtime:
    """CUDA's runtime as far as it is asked."""

    def __init__(self, failing=""):
        self.failing = failing

    def __getattr__(self, name):
        values = {"cudaRuntimeGetVersion": 13020, "cudaDriverGetVersion": 13000,
                  "cudaGetDeviceCount": 8, 75: 9, 76: 0, 16: 132}

        def call(out, attribute=None, *_):
            if name == self.failing:
                return 35
            out._obj.value = values[attribute or name]
            return 0

        def error_string(_):
            return b"driver too old"
        found = error_string if name == "cudaGetErrorString" else call
        self.__dict__[name] = found
        return found


def test_the_device_in_words():
    whole = device.ask(Runtime(), "libcudart.so.13")
    assert device.describe(whole) == (
        "CUDA 13.2 by libcudart.so.13, a driver for CUDA 13.0, sm 90, 132 multiprocessors, "
        "the first of 8")
    old = device.ask(Runtime("cudaGetDeviceCount"), "libcudart.so.13")
    assert device.describe(old) == (
        "CUDA 13.2 by libcudart.so.13, a driver for CUDA 13.0, CUDA says: driver too old (35)")
    assert device.describe(whole | {"driver": 0}).split(", ")[1] == "no driver"


def test_a_machine_without_cuda_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(device, "LIBRARIES", ("libnone.so.13",))
    assert device.facts() == {"error": "no libnone.so.13 on LD_LIBRARY_PATH"}
    monkeypatch.setattr(steps, "GPU", False)
    monkeypatch.setattr(process, "GPU", False)
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "scripts"))
    monkeypatch.setenv("LD_LIBRARY_PATH", "")
    said = steps.machine(proof_of(tmp_path, "--tiny"))
    assert "no nvidia-smi on the path; " in said
    assert "of the process" in process.memory_of(process.Done(0, "", "", 1, 5))
    with pytest.raises(process.Skipped, match="no nvidia-smi"):
        steps.left_over(proof_of(tmp_path, "--tiny"))


def test_nvidia_smi_is_asked_for_compute_capability_and_driver(tmp_path, monkeypatch):
    said = tmp_path / "nvidia-smi"
    said.write_text("#!/bin/sh\necho \"$1\" | grep -q compute_cap,memory.total,driver_version "
                    "&& echo 'NVIDIA H100, 9.0, 81559 MiB, 580.65'\n")
    said.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setattr(steps, "GPU", True)
    assert steps.smi() == "NVIDIA H100, 9.0, 81559 MiB, 580.65"


def proof_of(tmp_path, *flags):
    return Proof(parse([*flags, "lib", "model"]), tmp_path)


def test_what_a_step_says_of_the_arena_and_of_shapes(tmp_path, monkeypatch):
    proof = proof_of(tmp_path, "--rehearse")
    report = {"seconds": 2.0, "sequences": 24, "tokens": 7200, "tokens_per_second": 3600.0,
              "batches": 5, "shapes": 3, "batch_tokens": 2048,
              "arenas": [{"grown": 4, "held": 7 << 20, "peak": 5 << 20}]}
    shape = tmp_path / proof.small
    shape.mkdir()
    (shape / "config.json").write_text(json.dumps(SHAPES[proof.small]))
    monkeypatch.setattr(proof, "exported", lambda shape: tmp_path / shape)
    monkeypatch.setattr(proof, "ortscore", lambda *_, **__: process.Done(
        0, json.dumps(report) + "\n", "", 2, 100))
    said = steps.items(proof)
    assert said.startswith("12 items/s of 300 tokens; 3,600 tokens/s, ")
    assert "5 batches of at most 2,048 tokens, in 3 shapes" in said
    assert "arena and weights 7 MiB, 5 MiB in use at most, grown 4 times" in said
    with pytest.raises(process.Skipped):
        steps.items_cudnn(proof)


def test_both_kernels_are_tried_and_one_that_fails_leaves_the_other(tmp_path, monkeypatch):
    proof = proof_of(tmp_path, "--tiny")
    proof.forms["fp16-gqa"] = tmp_path
    line = "Operator=GroupQueryAttention SdpaKernel=FLASH_ATTENTION\n"

    def ortscore(command, model, *flags, environment, **_):
        assert environment == attention.ENVIRONMENT
        failed = "cudnn" in flags and command == "nll"
        return process.Done(2, "", "ortscore: error: no plan\n", 1, 0) if failed else \
            process.Done(0, line, "", 1, 0)
    monkeypatch.setattr(proof, "ortscore", ortscore)
    assert steps.kernels(proof) == (
        "nll flash: GroupQueryAttention by FLASH_ATTENTION 1 times; "
        "rank flash: GroupQueryAttention by FLASH_ATTENTION 1 times; "
        "nll cudnn: none named, then **failed**: ortscore: error: no plan; "
        "rank cudnn: GroupQueryAttention by FLASH_ATTENTION 1 times")
