"""The rehearsal of the CUDA path: its models, its reading of logs, and what it lets pass."""

import ctypes
import re
import shutil
import subprocess

import numpy as np
import pytest

from cudarehearsal import models, session
from cudarehearsal.check import wrong_end, wrong_run
from cudarehearsal.expected import ENOUGH, FAILURES, RUNS, Failure, Run
from cudarehearsal.session import Done, call, scored
from cudarehearsal.table import BEGIN, END, into_docs, markdown, shorten
from cudarehearsal.trace import Trace
from helpers import ROOT, Model

GATHER = "7 launch error=0 grid=1x1x1 kernel=_ZN11onnxruntime4cuda13_GatherKernelIsEEv"
FLASH = "7 launch error=0 grid=1x1x1 kernel=_ZN11onnxruntime5flash16flash_fwd_kernelI"
LOG_SOFTMAX = "7 launch error=0 kernel=_ZN11onnxruntime4cuda20softmax_warp_forwardIfffLi9ELb1EEEv"
FORWARD = ["7 copy way=host-device bytes=80 waits=0", GATHER, FLASH,
           "7 multiply m=5 n=2 k=3 name=g", GATHER, LOG_SOFTMAX,
           "7 copy way=device-host bytes=8 waits=0", "7 wait for=stream"]
START = ["7 create what=stream", "7 create what=cublas error=0", "7 malloc bytes=5 total=5 call=m",
         "7 malloc bytes=2097152 total=2097157 call=m", "7 free bytes=5 total=2097152"]
GOOD = Run("nll", "m", {75: "plain operators", 80: "flash"}, launches={75: 9, 80: 5},
           copies=1, bytes_up=80, bytes_down=8, allocations=2, peak=2)
HINT = "\nortscore: hint: do\n"
NOTE = "ortscore: note: 1 of the graph's 9 nodes run on the cpu: Gather\n"


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    return models.make(tmp_path_factory.mktemp("models"))


def test_the_models_are_one_model(folders):
    rows = np.arange(24).reshape(2, 12) % 11 + 300
    logits, present = Model(folders["gqa-fp16"]).run(rows)
    assert logits.shape == (2, 12, 4096) and present["past_key_values.0.key"].shape[3] == 128
    # Both are the same numbers in another order; int4 rounds each weight by up to a 14th.
    for name, most in (("explicit-fp32", 0.02), ("gqa-fp32", 0.02), ("gqa-int4", 0.6),
                       ("gqa-fp16-rotation-outside", 0.02)):
        other, _ = Model(folders[name]).run(rows)
        assert 0 < np.abs(other - logits).max() + 1e-9 < most * logits.std() * 4, name


def test_a_log_is_read():
    trace = Trace(START + 9 * FORWARD)
    assert len(trace.forwards) == 9, "a forward begins with the first Gather after a copy"
    assert trace.attention == {"flash"}, "a log-softmax is no attention"
    assert trace.launches == 5 and trace.most("wait") == 1
    assert trace.copied("device-host") == 8 and trace.copied("host-device") == 80
    assert (trace.allocations, trace.peak, trace.threads, trace.plans) == (2, 2097157, 1, 0)
    # What makes a session is no part of a forward.
    assert len(Trace(3 * FORWARD + START + 2 * FORWARD).forwards) == 4
    assert Trace([]).peak == 0 and Trace([]).launches == 0


def test_kernels_are_told_apart():
    def attention(kernel):
        return Trace([f"7 launch error=0 kernel={kernel}"]).attention

    flash = "_ZN11onnxruntime5flash"
    assert attention(flash + "24flash_fwd_splitkv_kernelI") == {"flash decoding"}
    assert attention(flash + "32flash_fwd_splitkv_combine_kernelI") == {"flash decoding"}
    assert attention("_ZN11onnxruntime7contrib4cuda4H1289grp4_fp1610kernel_mhaEj") == {"XQA"}
    assert attention("_ZN11onnxruntime4cuda20softmax_warp_forwardIfffLi5ELb0EEEv") == {
        "plain operators"}
    block = "_ZN11onnxruntime4cuda21softmax_block_forwardILi4EfffNS0_"
    assert attention(block + "22SoftMaxForwardEpilogueEEEv") == {"plain operators"}
    assert attention(block + "25LogSoftMaxForwardEpilogueEEEv") == set()


def test_a_run_is_held_against_each_bound():
    def wrong(lines=(), said="", code=0, scores=True):
        return wrong_run(GOOD, 80, Done(code, said, scores, Trace([*START, *3 * FORWARD, *lines])))

    assert wrong() == []
    for lines, part in (
        ([GATHER, GATHER.replace("error=0", "error=209")], "error 209"),
        ([FLASH.replace("flash_fwd_kernel", "flash_fwd_splitkv_kernel")], "attention: want"),
        ([GATHER, FORWARD[6], FORWARD[6]], "copies to the host a forward: want 1, got 2"),
        ([GATHER, FORWARD[0], FORWARD[0]], "copies to the device a forward: want 1"),
        (5 * [*FORWARD[:3], *4 * [FLASH], *FORWARD[3:]], "kernels a forward: want 5"),
        (5 * [FORWARD[0].replace("80", "81"), *FORWARD[1:]], "bytes to the device a forward"),
        (5 * [line.replace("bytes=8 ", "bytes=9 ") for line in FORWARD], "bytes to the host"),
        ([GATHER, *3 * ["7 wait for=stream"]], "waits a forward: want 2 at most, got 3"),
        (["7 malloc bytes=1 total=9 call=m"], "allocations: want 2 at most, got 3"),
        (["7 malloc bytes=1 total=9999999 call=m"], "MiB of device memory: want 2 at most, got 9"),
        (["8 create what=cublas error=0"], "threads with a handle: want 1 at most, got 2"),
        (["7 create what=cudnn-plan error=0"], "plans of cuDNN: want 0 at most, got 1"),
    ):
        assert part in "\n".join(wrong(lines)), part
    assert wrong(said=NOTE) == ["operators on the cpu: want , got Gather"]
    assert wrong(scores=False) == ["exit code 0 without all scores"]
    assert wrong(code=2, said="ortscore: error: no" + HINT) == ["no"]


def test_ends_that_nobody_can_use():
    def fault(code, said="", scores=False):
        return Done(code, said, scores, Trace([])).fault()

    assert fault(0, scores=True) is None
    assert fault(2, "ortscore: error: out of memory\nortscore: hint: --batch-tokens") is None
    assert "hangs" in fault(None)
    assert "SIGSEGV" in fault(2, "SIGSEGV: segmentation violation\nPC=0x7f")
    assert "terminate" in fault(-6, "terminate called after throwing an instance of 'x'")
    assert "-9" in fault(-9) and "0 lines of error" in fault(2, "nothing")
    assert "internals" in fault(2, "ortscore: error: /onnxruntime_src/core/cuda_call.cc:154 no")
    assert "internals" in fault(2, "ortscore: error: " + 500 * "x")
    assert "what to do" in fault(2, "ortscore: error: out of memory")


def test_failures_end_in_what_is_said_of_them():
    def end(failure, code, said):
        said += HINT if code else ""
        return wrong_end(failure, "nll", "gqa-fp16", Done(code, said, code == 0, Trace([])))

    either = Failure("", scores=True, says="note", error="memory")
    assert end(either, 0, "note") is None and end(either, 2, "ortscore: error: memory") is None
    assert "'note'" in end(either, 0, "") and "'memory'" in end(either, 2, "ortscore: error: no")
    assert end(Failure("", error="x"), 0, "") == "want an error, got scores"
    assert end(Failure("", scores=True), 2, "ortscore: error: no") == "want scores, got no"
    enough = Failure("", {"MEMORY": str(ENOUGH["nll", "gqa-fp16"] << 20)}, True, error="memory")
    assert end(enough, 2, "ortscore: error: memory") == "want scores, got memory"


def test_a_command_that_hangs_is_killed(monkeypatch):
    monkeypatch.setattr(session, "SECONDS", 0.5)
    assert call(["sh", "-c", "echo before; exec sleep 60"], {}) == (None, "before\n")
    assert call(["sh", "-c", "echo $A >&2; exit 3"], {"A": "b"}) == (3, "b\n")


def test_scores_are_counted(tmp_path):
    out = tmp_path / "out"
    assert not scored(out, "nll")
    out.write_text('{"pos": ["a"], "neg": ["b"], "teacher_scores": [1, 2]}\n')
    assert scored(out, "nll")
    out.write_text('{"pos": ["a"], "neg": ["b"], "teacher_scores": [1]}\n')
    assert not scored(out, "nll")
    out.write_text('{"pos": ["a"], "neg": [], "pos_scores": [1], "neg_scores": []}\n')
    assert scored(out, "rank")


def test_every_expectation_can_be_read():
    names = [failure.what for failure in FAILURES] + [run.name for run in RUNS]
    assert len(set(names)) == len(names)
    for failure in FAILURES:
        re.compile(failure.says), re.compile(failure.error)
        assert failure.scores or failure.error, failure.what
        numbered = any("N" in value for value in failure.settings.values())
        assert numbered == (failure.after != (0,)), failure.what
    known = (ROOT / "scripts/fakecuda").glob("*.cpp")
    settings = set(re.findall(r"FAKECUDA_(\w+)", "".join(path.read_text() for path in known)))
    assert {name for failure in FAILURES for name in failure.settings} <= settings


def test_the_docs_have_each_run_and_failure():
    tables = (ROOT / "docs/gpu.md").read_text().split(BEGIN)[1].split(END)[0]
    first = [line.split(" | ")[0].removeprefix("| ") for line in tables.splitlines()]
    assert [name for name in first if name in {run.name for run in RUNS}] == [
        run.name for run in RUNS]
    assert [name for name in first if name in {failure.what for failure in FAILURES}] == [
        failure.what for failure in FAILURES]


def test_tables(tmp_path):
    docs = tmp_path / "docs"
    docs.write_text(f"a\n{BEGIN}\nold\n{END}\nb\n")
    into_docs(docs, markdown(("x",), [("1|2",)]))
    assert docs.read_text() == f"a\n{BEGIN}\n\n| x |\n| --- |\n| 1\\|2 |\n\n{END}\nb\n"
    assert shorten("/a b/c/model.onnx: non-zero status code returned while running Mul node. "
                   "Name:'/x' Status Message: 12345 bytes of /d/libe.so") == "/a N bytes of libe.so"


@pytest.mark.skipif(shutil.which("g++") is None, reason="no g++")
def test_a_stand_in_fails_when_told(tmp_path, monkeypatch):
    library, log = tmp_path / "libcublas.so", tmp_path / "log"
    subprocess.run(["g++", "-std=c++17", "-shared", "-fPIC", "-Wall", "-Wextra", "-Werror",
                    ROOT / "scripts/fakecuda/cublas.cpp", "-o", library], check=True)
    monkeypatch.setenv("FAKECUDA_LOG", str(log))
    monkeypatch.setenv("FAKECUDA_CUBLAS_ERROR", "3:1")
    cublas = ctypes.CDLL(str(library))
    handle = ctypes.c_void_p()
    assert [cublas.cublasCreate_v2(ctypes.byref(handle)) for _ in range(3)] == [0, 3, 3]
    cublas.cublasSgemm_v2(handle, 0, 0, 4, 5, 6)
    trace = Trace.read(log)
    assert [event.number("error") for event in trace.events] == [0, 3, 3, 0]
    assert trace.events[-1].fields == {"m": "4", "n": "5", "k": "6", "name": "cublasSgemm"}
