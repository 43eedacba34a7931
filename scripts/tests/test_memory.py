"""Peak memory of an export of many tensors stays near one tensor."""

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
from safetensors.numpy import save_file

from helpers import BASE, ROOT
from ortexport.config import config_from_hf
from ortexport.decoder import expected_shapes

MEASURE = """
import resource, runpy, sys
def peak():
    # VmHWM and not ru_maxrss, which a child inherits from the pytest process it came from.
    line = next(l for l in open("/proc/self/status") if l.startswith("VmHWM"))
    return int(line.split()[1]) / 1024
sys.path.insert(0, sys.argv[1])
from export_onnx import main
before = peak()
code = main(sys.argv[2:])
print("PEAK", before, peak())
sys.exit(code)
"""


VOCAB, HIDDEN = 6144, 512
LARGEST = VOCAB * HIDDEN * 4 / 2**20


def write_large(folder, layers):
    """Random fp32 shards, one for each layer of 12 MB and one for the two vocabularies."""
    config = BASE | {"model_type": "llama", "hidden_size": HIDDEN, "intermediate_size": 1408,
                     "num_attention_heads": 8, "num_key_value_heads": 8, "head_dim": 64,
                     "num_hidden_layers": layers, "vocab_size": VOCAB}
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "tokenizer.json").write_text("{}")
    rng, weight_map, shards = np.random.default_rng(0), {}, {}
    for name, shape in expected_shapes(config_from_hf(config)).items():
        shard = name.split(".")[2] if name.startswith("model.layers") else "rest"
        shards.setdefault(shard, {})[name] = shape
    for shard, shapes in shards.items():
        file = f"model-{shard}.safetensors"
        save_file({name: rng.random(shape, np.float32) for name, shape in shapes.items()},
                  folder / file)
        weight_map |= dict.fromkeys(shapes, file)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
    return folder


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """The folder of a large checkpoint; pytest would keep it for three runs, so it is removed."""
    folder = tmp_path_factory.mktemp("large")
    yield write_large(folder / "hf", layers=12)
    shutil.rmtree(folder)


# Int8 holds the activations of a calibration as well, and what numpy's BLAS takes for itself.
@pytest.mark.parametrize(("dtype", "activations"), [("fp32", 0), ("fp16", 0), ("int8", 32)])
def test_peak_memory_does_not_grow_with_the_model(large, dtype, activations):
    total = sum(path.stat().st_size for path in large.iterdir()) / 2**20
    run = subprocess.run(
        [sys.executable, "-c", MEASURE, str(ROOT / "scripts"), str(large),
         str(large.parent / "out"), "--dtype", dtype, "--force"],
        capture_output=True, text=True, check=True)
    before, peak = map(float, run.stdout.split("PEAK")[1].split())
    print(f"{dtype}: {total:.0f} MB of weights, largest tensor {LARGEST:.0f} MB, "
          f"peak {peak - before:.0f} MB above the {before:.0f} MB of the imports")
    assert peak - before < 3 * LARGEST + activations < total / 4 + activations
