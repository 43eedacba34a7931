"""Makes the peers' models of the teacher's quantised GGUF: the same weights, in fp32.

    python -m peers.convert TEACHER.gguf TOKENIZER.json OUT

OUT/hf is for transformers, which reads the GGUF by itself and saves what it read; OUT/f32.gguf is
for llama.cpp: the file again, each tensor dequantised, in its own row order.
"""

from __future__ import annotations

import argparse
import copy
import shutil
import sys
from pathlib import Path

import gguf
import numpy as np
import torch
from transformers import AutoModelForCausalLM

import golden


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="convert", description="make the peers' models")
    parser.add_argument("source", type=Path)
    parser.add_argument("tokenizer", type=Path)
    parser.add_argument("out", type=Path)
    args = parser.parse_args(argv)
    args.out.mkdir(parents=True, exist_ok=True)
    write_gguf(args.source, args.out / "f32.gguf")
    write_hf(args.source, args.out / "hf")
    # transformers' own conversion of the tokenizer would lose a step, see golden.check_gguf.
    shutil.copy(args.tokenizer, args.out / "hf" / "tokenizer.json")
    return 0


def write_hf(source: Path, out: Path) -> None:
    """The model as transformers reads it. It refuses to save what came from a GGUF, though all of
    that is dequantised, so the weights go into a model that did not."""
    read, _ = golden.load(source)
    config = copy.deepcopy(read.config)
    del config.quantization_config
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    model.load_state_dict(read.state_dict())
    model.save_pretrained(out)


def write_gguf(source: Path, out: Path) -> None:
    """The file with its tensors in fp32 and the rest as it stands."""
    reader = gguf.GGUFReader(source)
    arch = reader.fields["general.architecture"].contents()
    writer = gguf.GGUFWriter(out, arch)
    # The writer writes these three by itself, or they are of the quantised file.
    left_out = ("GGUF.", "general.architecture", "general.file_type",
                "general.quantization_version")
    for name, field in reader.fields.items():
        if not name.startswith(left_out):
            kind = field.types[0]
            part = field.types[-1] if kind == gguf.GGUFValueType.ARRAY else None
            writer.add_key_value(name, field.contents(), kind, part)
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    for tensor in reader.tensors:
        data = gguf.dequantize(tensor.data, tensor.tensor_type).astype(np.float32)
        writer.add_tensor(tensor.name, data)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
