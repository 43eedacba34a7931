"""deploy/ on real engines: Slurm, GNU parallel, Spark, and the schema of Kubernetes.

What is not installed is skipped; `make test-clusters` demands it, all but Spark.
"""

import json
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

from helpers import ROOT

ORTSCORE = ROOT / "build/ortscore"
MODEL = ROOT / "testdata/tiny-gqa"
DEPLOY = ROOT / "deploy"
TOOLS = ROOT / "build/clusters/bin"
SPARK = ROOT / "build/spark/bin"
NLL = ["nll", "--quiet", "--onnx", MODEL]


def need(*programs, because=""):
    """Skips the test where something is not installed, or fails it."""
    path = f"{TOOLS}:{os.environ['PATH']}"
    missing = [str(name) for name in programs if not shutil.which(name, path=path)]
    because = because or missing and f"not installed: {', '.join(missing)}"
    if because and os.environ.get("ORTSCORE_TEST_CLUSTERS") == "required":
        pytest.fail(f"{because}; apt-get install --no-install-recommends slurm-wlm munge parallel")
    if because:
        pytest.skip(because)


def run(*command, **options):
    """What a command writes, which must succeed."""
    command = [str(word) for word in command]
    done = subprocess.run(command, capture_output=True, text=True, **options)
    assert done.returncode == 0, f"{command}: {done.returncode}: {done.stdout}{done.stderr}"
    return done.stdout


def write_rows(path, count):
    rows = [{"query": f"who is {i}", "answers": [f"it is {i}"], "pos": [f"the {i}"],
             "neg": ["a river"]} for i in range(count)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


@pytest.fixture
def single(tmp_path):
    """Writes in.jsonl, with so many rows, and returns what one run makes of it."""
    need(ORTSCORE)

    def score(count):
        write_rows(tmp_path / "in.jsonl", count)
        run(ORTSCORE, *NLL, "--threads", 1, "--out", "one.jsonl", "in.jsonl", cwd=tmp_path)
        return (tmp_path / "one.jsonl").read_text()

    return score


def test_parallel_pipe(tmp_path, single):
    need("parallel")
    want = single(1000)
    with open(tmp_path / "in.jsonl") as rows:
        got = run("parallel", "--pipe", "-N", 256, "--jobs", 2, "--keep-order",
                  ORTSCORE, *NLL, "--threads", 1, "--in", "-", "--out", "-", stdin=rows)
    assert got == want


def test_parallel_shards(tmp_path, single):
    need("parallel")
    want = single(1000)
    line = ["parallel", "--jobs", 2, "--joblog", "log", ORTSCORE, *NLL, "--threads", 1,
            "--in", "in.jsonl", "--out", "out.jsonl", "--shard", "{}/5", ":::", *range(5)]
    run(*line, cwd=tmp_path)
    run(*line, cwd=tmp_path)  # finished shards end at once
    run(ORTSCORE, "merge", tmp_path / "out.jsonl")
    assert (tmp_path / "out.jsonl").read_text() == want


def test_kubernetes_manifest(tmp_path):
    need("kubernetes-validate")
    tool = shutil.which("kubernetes-validate", path=f"{TOOLS}:{os.environ['PATH']}")
    check = [tool, "--strict", "--kubernetes-version", "1.34"]
    manifest = DEPLOY / "kubernetes/job.yaml"
    run(*check, manifest)
    wrong = tmp_path / "job.yaml"
    wrong.write_text(manifest.read_text().replace("backoffLimitPerIndex", "backoffLimitPerIndx"))
    assert subprocess.run([*check, wrong], capture_output=True).returncode == 1


class Slurm:
    """A Slurm of one node."""

    def __init__(self, folder):
        self.folder = Path(folder)
        path = f"{ORTSCORE.parent}:{os.environ['PATH']}"
        self.env = os.environ | {"SLURM_CONF": str(self.folder / "slurm.conf"), "PATH": path}

    def daemons(self, do):
        run(ROOT / "scripts/clusters/slurm.sh", do, self.folder)

    def __call__(self, *command, cwd=None):
        return run(*command, env=self.env, cwd=cwd).strip()

    def submit(self, array, shards, cwd):
        """Submits the tasks of an array that score in.jsonl, and returns the array's number."""
        return self("sbatch", "--parsable", f"--array={array}", DEPLOY / "slurm/score.sbatch",
                    shards, *NLL, "--in", "in.jsonl", "--out", "out.jsonl", cwd=cwd)

    def job(self, task):
        """The fields of a task's job."""
        words = self("scontrol", "--oneliner", "show", "job", task).split()
        return dict(word.split("=", 1) for word in words if "=" in word)

    def wait(self, task, state, restarts=0):
        """Waits until a task has come to a state after so many restarts.

        Where it waits to be started again, which takes two minutes, it is started at once.
        """
        for _ in range(900):
            job = self.job(task)
            if (job["JobState"], job["Restarts"]) == (state, str(restarts)):
                return
            if job["JobState"] == "FAILED":
                break
            if job.get("Reason") == "BeginTime":
                self("scontrol", "update", f"JobId={task}", "StartTime=now")
            time.sleep(0.2)
        logs = "".join(path.read_text() for path in self.folder.glob("*.log"))
        pytest.fail(f"{task}: want {state} after {restarts} restarts, got {job}\n{logs[-4000:]}")


@pytest.fixture(scope="module")
def slurm():
    need("slurmctld", "slurmd", "munged", "sbatch", ORTSCORE)
    need(because="" if os.getuid() == 0 else "Slurm's daemons need root")
    # A socket's path has at most 107 bytes, which tmp_path may exceed.
    with tempfile.TemporaryDirectory(prefix="slurm.") as folder:
        cluster = Slurm(folder)
        try:
            cluster.daemons("up")
            yield cluster
        finally:
            cluster.daemons("down")


def scoring(folder, shard, of):
    """The process that scores a shard and has committed a part of it."""
    partial = folder / f"out.{shard:05}-of-{of:05}.jsonl.partial"
    for _ in range(600):
        if partial.exists() and partial.stat().st_size > 0:
            for entry in Path("/proc").glob("[0-9]*"):
                words = command_line(entry)
                in_folder = words[:1] == [b"ortscore"] and os.readlink(entry / "cwd") == str(folder)
                if in_folder and f"{shard}/{of}".encode() in words:
                    return int(entry.name)
        time.sleep(0.05)
    return pytest.fail(f"no process scores shard {shard}/{of}")


def command_line(process):
    try:
        return (process / "cmdline").read_bytes().split(b"\0")
    except OSError:  # it has ended
        return []


def test_slurm_array(slurm, tmp_path, single):
    """Tasks that get SIGTERM or SIGKILL are requeued and go on; a finished one ends at once."""
    want = single(12000)
    array = slurm.submit("0-3", 4, tmp_path)
    os.kill(scoring(tmp_path, 0, 4), 15)
    os.kill(scoring(tmp_path, 2, 4), 9)
    for task, restarts in enumerate([1, 0, 1, 0]):
        slurm.wait(f"{array}_{task}", "COMPLETED", restarts)
    finished = (tmp_path / "out.00001-of-00004.jsonl").stat()
    slurm("scontrol", "requeue", f"{array}_1")
    slurm.wait(f"{array}_1", "COMPLETED", 1)
    assert (tmp_path / "out.00001-of-00004.jsonl").stat() == finished
    again = slurm.submit("1,3", 4, tmp_path)
    for task in (1, 3):
        slurm.wait(f"{again}_{task}", "COMPLETED")
    run(ORTSCORE, "merge", tmp_path / "out.jsonl")
    assert (tmp_path / "out.jsonl").read_text() == want


def test_slurm_not_requeued(slurm, tmp_path):
    """A task that is cancelled is not requeued, nor one with a bad row."""
    write_rows(tmp_path / "in.jsonl", 12000)
    array = slurm.submit("0", 1, tmp_path)
    scoring(tmp_path, 0, 1)
    slurm("scancel", array)
    time.sleep(3)
    slurm.wait(f"{array}_0", "CANCELLED")
    (tmp_path / "in.jsonl").write_text("broken\n")
    array = slurm.submit("0", 2, tmp_path)
    slurm.wait(f"{array}_0", "FAILED")
    assert slurm.job(f"{array}_0")["ExitCode"] == "2:0"


@pytest.mark.parametrize("api", [[], ["--pandas"]], ids=["pipe", "mapInPandas"])
def test_spark(tmp_path, single, api):
    """A partition whose process dies once is run again: no row is lost or doubled."""
    if not (SPARK / "spark-submit").exists():
        pytest.skip("not installed: pyspark; make test-clusters SPARK=1 does it (824 MB)")
    want = single(1000)
    dies = tmp_path / "dies.sh"
    dies.write_text(f'#!/bin/sh\nmkdir {tmp_path}/died 2>/dev/null || exec "$@"\n'
                    '"$@" | head -n 3\nkill -9 $$\n')
    dies.chmod(0o755)
    run(SPARK / "spark-submit", "--master", "local[2,4]",
        "--conf", "spark.sql.files.maxPartitionBytes=20000",
        "--conf", "spark.sql.execution.arrow.maxRecordsPerBatch=30",
        DEPLOY / "spark/score.py", *api, "--partitions", 4, "in.jsonl", "out", "--",
        dies, ORTSCORE, "nll", "--threads", 1, "--onnx", MODEL, cwd=tmp_path,
        env=os.environ | {"PYSPARK_PYTHON": str(SPARK / "python")})
    assert (tmp_path / "died").exists()
    parts = sorted((tmp_path / "out").glob("part-*"))
    assert same("".join(part.read_text() for part in parts), want)


def same(got, want):
    """Whether rows and their order are the same, and scores but for their last digits.

    A partition begins anywhere, and not at a multiple of 128 rows.
    """
    got, want = ([json.loads(line) for line in text.splitlines()] for text in (got, want))
    for row, other in zip(got, want, strict=True):
        pairs = zip(row.pop("teacher_scores"), other.pop("teacher_scores"), strict=True)
        if row != other or any(abs(a - b) > 1e-5 for a, b in pairs):
            return False
    return True
