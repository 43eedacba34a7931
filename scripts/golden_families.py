"""Dumps logits by torch and transformers for a tiny model of every family the exporter knows.

    python scripts/golden_families.py

Writes testdata/goldens/families.json. The models are those of scripts/tests/helpers.py, random
weights from a seed, so the test that reads the dump builds the same ones without torch
(scripts/tests/test_families.py). Needs torch and transformers, and is no part of `make test`.

The dump: {"ids", "positions", "words", "families": {NAME: FAMILY}}, all families fed the same
ids, and one FAMILY:

    weights       sum of the weights' magnitudes, to tell other weights from other results
    logits        [positions, words], at these positions and for these words only
    logsumexp     [positions], over the whole vocabulary
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch
from safetensors.numpy import load_file
from transformers import AutoModelForCausalLM

SCRIPTS = Path(__file__).resolve().parent
sys.path[:0] = [str(SCRIPTS / "tests"), str(SCRIPTS)]

from helpers import BASE, FAMILIES, magnitude, write_hf  # noqa: E402

OUT = SCRIPTS.parent / "testdata/goldens/families.json"
# Long enough to leave the window of 5 and to turn the slow RoPE pairs.
IDS = [5, 9, 2, 61, 17, 33, 8, 40, 21, 13, 6, 55, 9, 47, 30, 2, 19, 62, 11, 26, 5, 38, 51, 14]
# The last position that sees a window whole, the first that does not, and later ones.
POSITIONS = [1, 4, 5, 12, 23]
WORDS = [0, 7, 31, 63]


def main() -> int:
    families = {}
    for family in FAMILIES:
        with tempfile.TemporaryDirectory() as folder:
            families[family] = dump_family(write_hf(Path(folder), family))
    OUT.write_text(to_json({"ids": IDS, "positions": POSITIONS, "words": WORDS}, families),
                   encoding="utf-8")
    return 0


@torch.no_grad()
def dump_family(folder: Path) -> dict[str, Any]:
    """One FAMILY of the dump, see above."""
    logits = load(folder)(torch.tensor([IDS])).logits[0, POSITIONS].double()
    return {"weights": round(magnitude(load_file(folder / "model.safetensors")), 3),
            "logits": [[round(v, 5) for v in row] for row in logits[:, WORDS].tolist()],
            "logsumexp": [round(v, 5) for v in torch.logsumexp(logits, -1).tolist()]}


def load(folder: Path) -> Any:
    """The model in float32; raises unless transformers found every tensor and the theta."""
    model, info = AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager", output_loading_info=True)
    # transformers fills what it misses with noise and goes on.
    lost = {what: names for what, names in info.items() if names}
    if lost:
        raise SystemExit(f"golden_families: error: {lost}")
    theta = model.config.rope_parameters["rope_theta"]
    if theta != BASE["rope_theta"]:
        raise SystemExit(f"golden_families: error: rope_theta is {theta}")
    return model.eval()


def to_json(head: dict[str, Any], families: dict[str, Any]) -> str:
    """JSON with one family a line: small, and a change shows as a changed line."""
    lines = ",\n".join(f"  {json.dumps(name)}: {json.dumps(value)}"
                       for name, value in families.items())
    return json.dumps(head)[:-1] + ', "families": {\n' + lines + "\n}}\n"


if __name__ == "__main__":
    sys.exit(main())
