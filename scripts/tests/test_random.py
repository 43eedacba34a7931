"""Random checkpoints: sound models that follow from the seed, and a tokenizer that fits them."""

import json

import numpy as np
import pytest
from tokenizers import Tokenizer

from export_onnx import main
from helpers import ROOT, Model
from ortexport.config import config_from_hf
from ortexport.decoder import expected_shapes
from ortexport.errors import ExportError
from ortexport.random import POOL, SHAPES, RandomCheckpoint


def byte_level(folder, size):
    """A byte-level BPE tokenizer of `size` tokens: two special ones, 256 bytes, then merges."""
    from tokenizers import decoders, models, pre_tokenizers, trainers
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    text = (ROOT / "README.md").read_text() + (ROOT / "DESIGN.md").read_text()
    tokenizer.train_from_iterator([text], trainers.BpeTrainer(
        vocab_size=size, special_tokens=["<s>", "</s>"], show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    folder.mkdir(exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder


def test_the_export_runs_and_follows_from_the_seed(tmp_path):
    source = byte_level(tmp_path / "tokenizer", 700)
    out = {}
    for name, flags in {"a": [], "b": [], "c": ["--seed", "1"]}.items():
        assert main([str(source), str(tmp_path / name), "--random", "llama-tiny", *flags]) == 0
        out[name], _ = Model(tmp_path / name).run([[1, 2, 3]])
    assert np.array_equal(out["a"], out["b"]) and not np.allclose(out["a"], out["c"], atol=1e-4)
    assert np.isfinite(out["a"]).all() and out["a"].std() > 0.01
    config = json.loads((tmp_path / "a" / "config.json").read_text())
    assert expected_shapes(config_from_hf(config)) == RandomCheckpoint("llama-tiny", 0).shapes()


def test_a_cut_tokenizer_writes_the_same_text_with_more_tokens(tmp_path):
    source = byte_level(tmp_path / "tokenizer", 900)
    assert main([str(source), str(tmp_path / "out"), "--random", "llama-tiny"]) == 0
    whole = Tokenizer.from_file(str(source / "tokenizer.json"))
    cut = Tokenizer.from_file(str(tmp_path / "out" / "tokenizer.json"))
    assert cut.get_vocab_size() == SHAPES["llama-tiny"]["vocab_size"]
    text = "The tardigrade scores 42 points, naïvely — at least."
    ids = cut.encode(text).ids
    assert max(ids) < cut.get_vocab_size() and len(ids) > len(whole.encode(text).ids)
    assert cut.decode(ids) == text


def test_a_tokenizer_that_is_too_small_gains_tokens_that_no_text_has(tmp_path):
    source = byte_level(tmp_path / "tokenizer", 400)
    assert main([str(source), str(tmp_path / "out"), "--random", "llama-tiny"]) == 0
    small = Tokenizer.from_file(str(source / "tokenizer.json"))
    filled = Tokenizer.from_file(str(tmp_path / "out" / "tokenizer.json"))
    assert filled.get_vocab_size() == 512 and sorted(filled.get_vocab().values())[-1] == 511
    for text in ("The tardigrade scores 42 points.", "<|unused 400|>"):
        assert filled.encode(text).ids == small.encode(text).ids


def test_special_tokens_above_the_vocabulary_are_refused(tmp_path, capsys):
    source = byte_level(tmp_path / "tokenizer", 600)
    path = source / "tokenizer.json"
    whole = json.loads(path.read_text())
    whole["added_tokens"].append(whole["added_tokens"][0] | {"id": 600, "content": "<last>"})
    path.write_text(json.dumps(whole))
    assert main([str(source), str(tmp_path / "out"), "--random", "llama-tiny"]) == 2
    assert "want special tokens below 512, got 600" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_qwen3_has_norms_of_heads_and_one_embedding(tmp_path):
    shapes = RandomCheckpoint("qwen3-tiny", 0).shapes()
    assert shapes["model.layers.0.self_attn.q_norm.weight"] == (32,)
    assert shapes["model.layers.0.self_attn.q_proj.weight"] == (128, 64)
    assert "lm_head.weight" not in shapes
    source = byte_level(tmp_path / "tokenizer", 512)
    for attention in ("gqa", "explicit"):
        out = tmp_path / attention
        assert main([str(source), str(out), "--random", "qwen3-tiny",
                     "--attention", attention]) == 0
    a, b = (Model(tmp_path / name).run([[1, 2, 3]])[0] for name in ("gqa", "explicit"))
    assert np.isfinite(a).all() and a.std() > 0.01 and np.allclose(a, b, atol=1e-4)


def test_qwen3_of_600_million_parameters_is_as_large_as_its_name():
    config = config_from_hf(SHAPES["qwen3-0.6b"])
    count = sum(int(np.prod(shape)) for shape in expected_shapes(config).values())
    assert count == 596_049_920  # as Qwen/Qwen3-0.6B has


def test_blocks_fill_the_shapes_and_rows_differ():
    checkpoint = RandomCheckpoint("llama-tiny", 0)
    for name, shape in checkpoint.shapes().items():
        whole = np.concatenate(list(checkpoint.blocks(name)))
        assert whole.shape == shape and whole.dtype == np.float32
        if len(shape) == 2:
            assert len(np.unique(whole[:, 0])) == shape[0]
    assert POOL % 2 == 1
    with pytest.raises(ExportError):
        RandomCheckpoint("llama-8b", 0)
