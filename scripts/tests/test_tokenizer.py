"""GGUF checkpoints: tokenizers, names and row order."""

import json

import numpy as np
import pytest
from gguf import GGUFWriter
from tokenizers import Tokenizer, pre_tokenizers

from helpers import BASE, FAMILIES, Model, random_tensors, write_hf
from ortexport import tokenizer
from ortexport.checkpoint import GGUF_GLOBAL, GGUF_LAYER, half_split_rows
from ortexport.config import RopeScaling, config_from_gguf, config_from_hf
from ortexport.errors import CheckpointError, UnsupportedError
from ortexport.export import Options, export
from ortexport.rope import inverse_frequencies, llama3_factors

SPECIAL = ["<|bos|>", "<|eos|>"]


def metadata(**changes):
    """A byte-level vocabulary: two control tokens, a user token, 256 bytes and a few merges."""
    merges = ["Ġ t", "h e", "Ġt he", "1 2"]
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokens = [*SPECIAL, "<tool>", *letters, *(m.replace(" ", "") for m in merges), "[PAD1]"]
    types = [3, 3, 4, *[1] * (len(letters) + len(merges)), 5]
    meta = {"model": "gpt2", "pre": "smollm", "tokens": tokens, "token_type": types,
            "merges": merges, "bos_token_id": 0, "eos_token_id": 1}
    return {f"tokenizer.ggml.{k}": v for k, v in (meta | changes).items() if v is not None}


def built(**changes):
    files = tokenizer.gguf_files(metadata(**changes), 128)
    return Tokenizer.from_str(json.dumps(files["tokenizer.json"])), files


def test_smollm_splits_digits_before_the_merges():
    tok, _ = built()
    assert tok.encode(" the 1212").tokens == ["Ġthe", "Ġ", "1", "2", "1", "2"]
    assert built(pre="gpt2")[0].encode(" the 1212").tokens == ["Ġthe", "Ġ", "12", "12"]


@pytest.mark.parametrize("pre", tokenizer.PRE_TOKENIZERS)
def test_text_comes_back(pre):
    tok, _ = built(pre=pre)
    # Composed already, because qwen2 normalises to NFC.
    text = "  the naïve 日本 12 don't\n\n\tx  😀 "
    assert tok.decode(tok.encode(text, add_special_tokens=False).ids) == text


def test_control_tokens_are_special_and_user_tokens_are_not():
    tok, _ = built()
    encoding = tok.encode("<|bos|>a<tool>")
    assert encoding.tokens == ["<|bos|>", "a", "<tool>"]
    assert tok.decode(encoding.ids) == "a<tool>"
    assert tok.token_to_id("[PAD1]") is None


def test_bos_and_eos_are_added_as_the_file_says():
    assert built()[0].encode("a").tokens == ["a"]
    assert built(add_bos_token=True)[0].encode("a").tokens == ["<|bos|>", "a"]
    assert built(pre="llama-bpe")[0].encode("a").tokens == ["<|bos|>", "a"]
    tok, files = built(add_bos_token=True, add_eos_token=True)
    assert tok.encode("a", "b").tokens == ["<|bos|>", "a", "<|eos|>", "<|bos|>", "b", "<|eos|>"]
    assert files["tokenizer_config.json"]["add_bos_token"] is True
    assert files["generation_config.json"] == {"bos_token_id": 0, "eos_token_id": 1}


REFUSED = {"sentencepiece": {"model": "llama"}, "pre": {"pre": "tekken"}, "no pre": {"pre": None}}


@pytest.mark.parametrize("changes", REFUSED.values(), ids=REFUSED.keys())
def test_unknown_tokenizers_are_refused_with_the_way_out(changes):
    with pytest.raises(UnsupportedError) as caught:
        built(**changes)
    assert "--tokenizer DIR" in caught.value.hint


BROKEN = {
    "no tokens": {"tokens": None},
    "tokens are numbers": {"tokens": [1, 2]},
    "too few types": {"token_type": [1]},
    "merge of one part": {"merges": ["ab"]},
    "merge of strangers": {"merges": ["xx yy"]},
    "bos out of range": {"bos_token_id": 10_000, "add_bos_token": True},
    "no bos to add": {"bos_token_id": None, "add_bos_token": True},
}


@pytest.mark.parametrize("changes", BROKEN.values(), ids=BROKEN.keys())
def test_broken_tokenizers(changes):
    with pytest.raises(CheckpointError):
        built(**changes)


def interleave(rows, heads):
    """What converters to GGUF do to q and k of llama models."""
    halves = rows.reshape(heads, 2, rows.shape[0] // heads // 2, *rows.shape[1:])
    return halves.swapaxes(1, 2).reshape(rows.shape)


def test_row_order_goes_there_and_back():
    rows = np.arange(64 * 3).reshape(64, 3)
    assert (half_split_rows(interleave(rows, 4), 4) == rows).all()
    assert interleave(rows, 4)[1].tolist() == rows[8].tolist()


def write_gguf(path, family, tokens=True, floats=()):
    """The random model of `family` as a GGUF file, as llama.cpp's converter would write it.

    `floats` holds pairs of name and value that go to the metadata as well.
    """
    raw = BASE | FAMILIES[family]
    config = config_from_hf(raw)
    arch = {"mistral": "llama"}.get(config.model_type, config.model_type)
    writer = GGUFWriter(path, arch)
    writer.add_block_count(config.num_layers)
    writer.add_context_length(config.context)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_heads)
    writer.add_head_count_kv(config.num_kv_heads)
    writer.add_key_length(config.head_dim)
    writer.add_value_length(config.head_dim)
    writer.add_rope_freq_base(config.rope_theta)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    for key, value in floats:
        writer.add_float32(key, value)
    if tokens:
        meta = {k.rsplit(".", 1)[1]: v for k, v in metadata().items()}
        writer.add_tokenizer_model(meta["model"])
        writer.add_tokenizer_pre(meta["pre"])
        writer.add_token_list(meta["tokens"])
        writer.add_token_types(meta["token_type"])
        writer.add_token_merges(meta["merges"])
        writer.add_chat_template("{{ messages }}")
    if config.rope_scaling:
        freq = inverse_frequencies(config.head_dim, config.rope_theta, None)
        factors = llama3_factors(freq, config.rope_scaling).astype(np.float32)
        writer.add_tensor("rope_freqs.weight", factors)
    for name, value in random_tensors(raw).items():
        if name in GGUF_GLOBAL:
            writer.add_tensor(GGUF_GLOBAL[name], value)
            continue
        _, _, layer, rest = name.split(".", 3)
        part, kind = rest.rsplit(".", 1)
        heads = {"self_attn.q_proj": config.num_heads, "self_attn.k_proj": config.num_kv_heads}
        turned = arch == "llama" and part in heads
        writer.add_tensor(f"blk.{layer}.{GGUF_LAYER[part]}.{kind}",
                          interleave(value, heads[part]) if turned else value)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


@pytest.mark.parametrize("family", ["llama", "llama-tied", "llama-biases", "mistral", "qwen2",
                                    "qwen3"])
def test_a_gguf_file_gives_the_model_of_its_folder(tmp_path, family):
    export(write_gguf(tmp_path / "x.gguf", family), tmp_path / "a", Options())
    export(write_hf(tmp_path / "hf", family), tmp_path / "b", Options())
    ids = [[5, 9, 2, 61, 17, 33]]
    got, want = Model(tmp_path / "a").run(ids)[0], Model(tmp_path / "b").run(ids)[0]
    np.testing.assert_allclose(got, want, atol=1e-5)
    files = {path.name for path in (tmp_path / "a").iterdir()}
    assert files == {"model.onnx", "model.onnx.data", "config.json", "generation_config.json",
                     "tokenizer.json", "tokenizer_config.json", "chat_template.jinja"}


def test_rope_freqs_become_llama3_scaling(tmp_path, monkeypatch):
    scaling = {"rope_type": "llama3", "factor": 32.0, "low_freq_factor": 1.0,
               "high_freq_factor": 4.0, "original_max_position_embeddings": 8192}
    monkeypatch.setitem(FAMILIES, "published", {
        "model_type": "llama", "rope_theta": 500000.0, "rope_scaling": scaling})
    export(write_gguf(tmp_path / "x.gguf", "published"), tmp_path / "a", Options())
    export(write_hf(tmp_path / "hf", "published"), tmp_path / "b", Options())
    assert json.loads((tmp_path / "a/config.json").read_text())["rope_scaling"] == scaling
    ids = [list(range(3, 60))]
    got, want = Model(tmp_path / "a").run(ids)[0], Model(tmp_path / "b").run(ids)[0]
    np.testing.assert_allclose(got, want, atol=1e-5)


def test_rope_freqs_of_another_kind_are_refused(tmp_path):
    # The family's original context is 32, which no published model has.
    with pytest.raises(UnsupportedError, match="rope_freqs"):
        export(write_gguf(tmp_path / "x.gguf", "llama3"), tmp_path / "out", Options())


@pytest.mark.parametrize("key", ["rope.scale_linear", "rope.scaling.factor"])
def test_a_linear_scaling_of_a_gguf_file_counts(tmp_path, key):
    factor = FAMILIES["llama-linear"]["rope_scaling"]["factor"]
    export(write_gguf(tmp_path / "x.gguf", "llama", floats=[(f"llama.{key}", factor)]),
           tmp_path / "a", Options())
    export(write_hf(tmp_path / "hf", "llama-linear"), tmp_path / "b", Options())
    ids = [list(range(3, 60))]
    got, want = Model(tmp_path / "a").run(ids)[0], Model(tmp_path / "b").run(ids)[0]
    np.testing.assert_allclose(got, want, atol=1e-5)


def rope_scaling(fields, from_freqs=None):
    """What config_from_gguf makes of `fields`, by their names behind "llama.rope."."""
    meta = {"general.architecture": "llama", "llama.embedding_length": 32,
            "llama.attention.head_count": 2, "llama.block_count": 1, "llama.context_length": 64,
            "llama.feed_forward_length": 48, "llama.attention.layer_norm_rms_epsilon": 1e-5}
    meta |= {f"llama.rope.{name}": value for name, value in fields.items()}
    return config_from_gguf(meta, {"token_embd.weight": (64, 32)}, from_freqs).rope_scaling


LINEAR = RopeScaling("linear", 4.0)
FROM_FREQS = RopeScaling("llama3", 8.0)


@pytest.mark.parametrize(("fields", "want"), [
    ({}, None),
    ({"scale_linear": 4.0}, LINEAR),
    ({"scaling.factor": 4.0}, LINEAR),
    ({"scaling.type": "linear", "scaling.factor": 4.0}, LINEAR),
    ({"scaling.type": "linear", "scale_linear": 4.0}, LINEAR),
    ({"scaling.factor": 4.0, "scale_linear": 2.0}, LINEAR),
    ({"scale_linear": 1.0}, None),
    ({"scale_linear": 0.0}, None),
    ({"scaling.type": "none", "scaling.factor": 4.0}, None),
    ({"scaling.attn_factor": 1.0}, None)])
def test_scalings_in_gguf_metadata(fields, want):
    assert rope_scaling(fields) == want


@pytest.mark.parametrize("fields", [{}, {"scaling.type": "none"}, {"scale_linear": 1.0}])
def test_rope_freqs_count_beside_a_scaling_that_changes_nothing(fields):
    assert rope_scaling(fields, FROM_FREQS) == FROM_FREQS


@pytest.mark.parametrize(("fields", "freqs", "kind", "message"), [
    ({"scaling.type": "yarn", "scaling.factor": 4.0}, None, UnsupportedError, "rope type 'yarn'"),
    ({"scaling.attn_factor": 0.5}, None, UnsupportedError, "attn_factor"),
    ({"scale_linear": 4.0}, FROM_FREQS, UnsupportedError, "scale_linear on top of rope_freqs"),
    ({"scale_linear": -4.0}, None, CheckpointError, "factor -4.0"),
    ({"scale_linear": "4"}, None, CheckpointError, "scale_linear: want a number"),
    ({"scaling.factor": float("nan")}, None, CheckpointError, "factor nan")])
def test_scalings_in_gguf_metadata_that_are_refused(fields, freqs, kind, message):
    with pytest.raises(kind, match=message):
        rope_scaling(fields, freqs)


def test_another_tokenizer_may_be_named(tmp_path):
    source = write_gguf(tmp_path / "x.gguf", "llama", tokens=False)
    with pytest.raises(UnsupportedError, match="not byte-level BPE"):
        export(source, tmp_path / "out", Options())
    other = tmp_path / "other"
    other.mkdir()
    (other / "tokenizer.json").write_text('{"mine": 1}')
    export(source, tmp_path / "out", Options(tokenizer=other))
    assert (tmp_path / "out/tokenizer.json").read_text() == '{"mine": 1}'
