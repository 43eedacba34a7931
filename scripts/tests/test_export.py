"""Whole exports of small random models, run in ONNX Runtime."""

import json
import os
from pathlib import Path

import numpy as np
import onnx
import pytest
from safetensors.numpy import save_file

from export_onnx import main
from helpers import (
    BASE,
    FAMILIES,
    LLAMA3,
    OLD_WINDOWS,
    Model,
    random_tensors,
    right_padded,
    write_hf,
)
from ortexport.config import config_from_hf
from ortexport.errors import CheckpointError, ExportError, UnsupportedError
from ortexport.export import Options, export

IDS = [5, 9, 2, 61, 17, 33, 8, 40, 21, 13, 6]
FORMS = ("gqa", "explicit")


def exported(tmp_path, family="llama", name="out", tensors=None, fields=None, **options):
    source = write_hf(tmp_path / f"{name}-hf", family, tensors, **(fields or {}))
    export(source, tmp_path / name, Options(**options))
    return Model(tmp_path / name)


@pytest.mark.parametrize("family", FAMILIES)
def test_both_forms_agree(tmp_path, family):
    if OLD_WINDOWS and "window" in family:
        pytest.skip("this ONNX Runtime counts windows otherwise")
    gqa = exported(tmp_path, family, "gqa")
    explicit = exported(tmp_path, family, "explicit", attention="explicit")
    ids, mask = right_padded([IDS, IDS[3:7], IDS[:1]])
    a, past_a = gqa.run(ids, mask)
    b, past_b = explicit.run(ids, mask)
    for row, length in enumerate(mask.sum(1)):
        np.testing.assert_allclose(a[row, :length], b[row, :length], atol=2e-4)
    step_mask = np.hstack([mask, np.ones((3, 1), np.int64)])
    a, _ = gqa.run([[7], [8], [9]], step_mask, past_a)
    b, _ = explicit.run([[7], [8], [9]], step_mask, past_b)
    np.testing.assert_allclose(a, b, atol=2e-4)


@pytest.mark.parametrize("attention", FORMS)
@pytest.mark.parametrize("family", ["llama", "mistral-window", "qwen3"])
def test_rows_do_not_see_their_neighbours(tmp_path, family, attention):
    model = exported(tmp_path, family, attention=attention)
    rows = [IDS, IDS[2:5], IDS[4:]]
    ids, mask = right_padded(rows)
    batch, past = model.run(ids, mask)
    steps = np.array([[7], [8], [9]])
    after, past = model.run(steps, np.hstack([mask, np.ones((3, 1), np.int64)]), past)
    again, _ = model.run(steps + 3, np.hstack([mask, np.ones((3, 2), np.int64)]), past)
    for i, row in enumerate(rows):
        alone, _ = model.run([row + [7 + i, 10 + i]])
        np.testing.assert_allclose(batch[i, :len(row)], alone[0, :len(row)], atol=1e-4)
        np.testing.assert_allclose(after[i, 0], alone[0, len(row)], atol=1e-4)
        np.testing.assert_allclose(again[i, 0], alone[0, len(row) + 1], atol=1e-4)


@pytest.mark.parametrize("attention", FORMS)
def test_a_window_hides_what_lies_outside(tmp_path, attention):
    if OLD_WINDOWS and attention == "gqa":
        pytest.skip("this ONNX Runtime counts windows otherwise")
    model = exported(tmp_path, "mistral-window", attention=attention,
                     fields={"num_hidden_layers": 1})
    logits, _ = model.run([IDS])
    changed, _ = model.run([[50, *IDS[1:]]])
    reach = FAMILIES["mistral-window"]["sliding_window"]
    difference = np.abs(logits - changed)[0].max(-1)
    assert (difference[:reach] > 1e-3).all()
    assert (difference[reach:] < 1e-5).all()


@pytest.mark.parametrize("attention", FORMS)
@pytest.mark.parametrize("family", ["llama", "qwen3", "qwen2"])
def test_fp16_stays_close(tmp_path, family, attention):
    full, _ = exported(tmp_path, family, "fp32", attention=attention).run([IDS])
    model = exported(tmp_path, family, "fp16", attention=attention, dtype="fp16")
    assert model.session.get_outputs()[0].type == "tensor(float16)"
    half, _ = model.run([IDS])
    assert 0 < np.abs(full - half).max() < 0.1


def test_the_signature_is_the_one_of_the_model_builder(tmp_path):
    model = exported(tmp_path)
    shapes = {value.name: value.shape
              for value in model.session.get_inputs() + model.session.get_outputs()}
    assert list(shapes)[:2] == ["input_ids", "attention_mask"]
    assert shapes["attention_mask"] == ["batch_size", "total_sequence_length"]
    assert shapes["past_key_values.1.value"] == ["batch_size", 2, "past_sequence_length", 16]
    assert shapes["present.1.key"] == ["batch_size", 2, "total_sequence_length", 16]
    assert shapes["logits"] == ["batch_size", "sequence_length", 64]


def test_the_explicit_form_is_plain_onnx(tmp_path):
    exported(tmp_path, attention="explicit")
    model = onnx.load(tmp_path / "out/model.onnx", load_external_data=False)
    assert [opset.domain for opset in model.opset_import] == [""]
    assert {node.domain for node in model.graph.node} == {""}
    onnx.checker.check_model(tmp_path / "out/model.onnx", full_check=True)


@pytest.mark.parametrize("family", ["llama", "llama-tied"])
def test_weights_lie_outside_once_and_aligned(tmp_path, family):
    exported(tmp_path, family)
    model = onnx.load(tmp_path / "out/model.onnx", load_external_data=False)
    size = (tmp_path / "out/model.onnx.data").stat().st_size
    params = sum(v.size for v in random_tensors(BASE | FAMILIES[family]).values())
    stored = 0
    for tensor in model.graph.initializer:
        if tensor.data_location != onnx.TensorProto.EXTERNAL:
            assert len(tensor.raw_data) < 256
            continue
        entry = {item.key: item.value for item in tensor.external_data}
        assert entry["location"] == "model.onnx.data"
        offset, length = int(entry["offset"]), int(entry["length"])
        assert offset % (4096 if length >= 4096 else 64) == 0
        assert offset + length <= size
        stored += length // 4
    assert stored == params + 2 * 128 * 8  # and the cos and sin tables


def shards(folder, tensors, split=7):
    """Spreads the tensors over files of `split` tensors, with an index."""
    names = sorted(tensors)
    (folder / "model.safetensors").unlink()
    weight_map = {}
    for i in range(0, len(names), split):
        part = {name: tensors[name] for name in names[i:i + split]}
        save_file(part, folder / f"model-{i}.safetensors")
        weight_map |= dict.fromkeys(part, f"model-{i}.safetensors")
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))
    return index


def test_shards_give_the_same_bytes(tmp_path):
    whole, parts = write_hf(tmp_path / "whole"), write_hf(tmp_path / "parts")
    shards(parts, random_tensors(BASE | FAMILIES["llama"]))
    for folder in (whole, parts):
        export(folder, tmp_path / f"{folder.name}-out", Options())
    for name in ("model.onnx", "model.onnx.data"):
        assert ((tmp_path / "whole-out" / name).read_bytes()
                == (tmp_path / "parts-out" / name).read_bytes())


@pytest.mark.parametrize("name", ["../escape.safetensors", "/etc/passwd", "", "..", 7])
def test_an_index_that_leaves_the_folder_is_refused(tmp_path, name):
    folder = write_hf(tmp_path / "hf")
    index = shards(folder, random_tensors(BASE | FAMILIES["llama"]))
    index.write_text(json.dumps({"weight_map": {"model.norm.weight": name}}))
    with pytest.raises(CheckpointError, match="is not a file name"):
        export(folder, tmp_path / "out", Options())


def test_both_generations_of_rope_fields_are_read():
    old = BASE | {"model_type": "llama", "rope_theta": 5e4,
                  "rope_scaling": {"type": "linear", "factor": 2}}
    new = BASE | {"model_type": "llama", "rope_parameters": {
        "rope_theta": 5e4, "rope_type": "linear", "factor": 2}}
    del new["rope_theta"]
    assert config_from_hf(old).rope_theta == config_from_hf(new).rope_theta == 5e4
    assert config_from_hf(old).rope_scaling == config_from_hf(new).rope_scaling
    out = config_from_hf(new).to_json("fp32")
    assert out["rope_theta"] == out["rope_parameters"]["rope_theta"] == 5e4
    assert out["rope_scaling"] == {"rope_type": "linear", "factor": 2.0}


def test_rope_thetas_that_disagree_are_refused():
    config = BASE | {"model_type": "llama", "rope_parameters": {"rope_theta": 7.0}}
    with pytest.raises(CheckpointError, match="rope_theta"):
        config_from_hf(config)


REFUSED = {
    "architecture": ({"model_type": "gemma2"}, "model_type: 'gemma2'"),
    "no architecture": ({"model_type": None}, "model_type: None"),
    "activation": ({"hidden_act": "gelu"}, "hidden_act: 'gelu'"),
    "yarn": ({"rope_scaling": {"rope_type": "yarn", "factor": 4.0}}, "rope type 'yarn'"),
    "longrope": ({"rope_scaling": {"type": "longrope"}}, "rope type 'longrope'"),
    "partial rope": ({"partial_rotary_factor": 0.5}, "partial_rotary_factor: 0.5"),
    "quantised": ({"quantization_config": {"quant_method": "awq"}}, "quantization_config"),
    "own code": ({"auto_map": {"AutoModelForCausalLM": "modeling_x.X"}}, "auto_map: .*modeling_x"),
    "experts": ({"num_local_experts": 8}, "num_local_experts: 8"),
}


@pytest.mark.parametrize(("fields", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_unknown_things_are_refused_by_name(fields, message):
    with pytest.raises(UnsupportedError, match=message) as caught:
        config_from_hf(BASE | {"model_type": "llama"} | fields)
    assert "onnxruntime-genai" in caught.value.hint


BROKEN = {
    "no layers": {"num_hidden_layers": 0},
    "a layer count of 2^40": {"num_hidden_layers": 1 << 40},
    "no heads": {"num_attention_heads": 0},
    "uneven heads": {"num_key_value_heads": 3},
    "a huge vocabulary": {"vocab_size": 1 << 40},
    "text for a number": {"hidden_size": "32"},
    "missing": {"max_position_embeddings": None},
    "scaled by nothing": {"rope_scaling": {"rope_type": "linear", "factor": 0}},
    "scaled by no number": {"rope_scaling": {"rope_type": "linear", "factor": float("nan")}},
    "a band of no width": {"rope_scaling": LLAMA3 | {"low_freq_factor": 4.0}},
    "an endless theta": {"rope_theta": float("inf")},
}


@pytest.mark.parametrize("fields", BROKEN.values(), ids=BROKEN.keys())
def test_broken_configs(fields):
    with pytest.raises(CheckpointError):
        config_from_hf(BASE | {"model_type": "llama"} | fields)


def test_tensors_must_be_exactly_those_of_the_network(tmp_path):
    good = random_tensors(BASE | FAMILIES["llama"])
    cases = [
        (CheckpointError, "model.norm.weight is missing",
         {k: v for k, v in good.items() if k != "model.norm.weight"}),
        (CheckpointError, r"model.norm.weight is \[3\], want \[32\]",
         good | {"model.norm.weight": np.ones(3, np.float32)}),
        (UnsupportedError, "self_attn.sinks",
         good | {"model.layers.0.self_attn.sinks": np.ones(4, np.float32)}),
    ]
    for i, (kind, message, tensors) in enumerate(cases):
        with pytest.raises(kind, match=message):
            exported(tmp_path, name=f"case{i}", tensors=tensors)


def test_gqa_refuses_head_sizes_the_operator_does_not_take(tmp_path):
    with pytest.raises(ExportError, match="head of 24") as caught:
        exported(tmp_path, fields={"head_dim": 24})
    assert "--attention explicit" in caught.value.hint
    exported(tmp_path, name="explicit", fields={"head_dim": 24}, attention="explicit")


def test_a_weight_beyond_fp16_is_refused_by_name(tmp_path):
    tensors = random_tensors(BASE | FAMILIES["llama"])
    tensors["model.layers.1.mlp.up_proj.weight"][0, 0] = 70_000
    with pytest.raises(ExportError, match=r"layers.1.mlp.up_proj.* 70000 does not fit fp16"):
        exported(tmp_path, tensors=tensors, dtype="fp16")
    assert not (tmp_path / "out").exists()


def test_context_limits_the_tables(tmp_path):
    model = exported(tmp_path, context=32)
    assert json.loads((tmp_path / "out/config.json").read_text())["max_position_embeddings"] == 32
    full, _ = exported(tmp_path, name="full").run([IDS])
    np.testing.assert_array_equal(model.run([IDS])[0], full)
    with pytest.raises(ExportError, match="--context: 500"):
        exported(tmp_path, name="long", context=500)


def test_tokenizer_files_are_copied_byte_for_byte(tmp_path):
    source = write_hf(tmp_path / "hf")
    files = {"tokenizer.json": b'{"a":  1}\r\n', "tokenizer_config.json": b"{}",
             "special_tokens_map.json": b"{ }", "generation_config.json": b"{\n}",
             "chat_template.jinja": "{{ 'ç' }}".encode()}
    for name, data in files.items():
        (source / name).write_bytes(data)
    export(source, tmp_path / "out", Options())
    for name, data in files.items():
        assert (tmp_path / "out" / name).read_bytes() == data


def test_nothing_half_is_left_behind(tmp_path, monkeypatch):
    source = write_hf(tmp_path / "hf")

    def fail(*_args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("ortexport.decoder.Decoder._lm_head", fail)
    assert main([str(source), str(tmp_path / "out")]) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["hf"]


def test_a_full_folder_is_replaced_only_with_force(tmp_path, capsys):
    source, out = write_hf(tmp_path / "hf"), tmp_path / "out"
    out.mkdir()
    (out / "precious").write_text("x")
    assert main([str(source), str(out)]) == 2
    assert capsys.readouterr().err == (
        f"export_onnx: error: {out} exists and is not an empty folder\n"
        "export_onnx: hint: pass --force to replace it, or choose another folder\n")
    assert (out / "precious").exists()
    assert main([str(source), str(out), "--force"]) == 0
    assert not (out / "precious").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["hf", "out"]
    assert "parameters, fp32, gqa" in capsys.readouterr().out


def fail_renames_to(monkeypatch, *refused):
    """Makes os.rename fail once for each of `refused`, in that order, the ends of its target."""
    rename, left = os.rename, list(refused)

    def pick(source, target):
        if left and str(target).endswith(left[0]):
            left.pop(0)
            raise OSError(5, "Input/output error", str(target))
        rename(source, target)

    monkeypatch.setattr("os.rename", pick)


def full_folder(path):
    path.mkdir()
    (path / "precious").write_text("x")
    return path


def test_an_old_folder_returns_where_the_new_one_cannot_take_its_place(
        tmp_path, monkeypatch, capsys):
    source, out = write_hf(tmp_path / "hf"), full_folder(tmp_path / "out")
    fail_renames_to(monkeypatch, "/out")
    assert main([str(source), str(out), "--force"]) == 2
    assert capsys.readouterr().err == f"export_onnx: error: {out}: Input/output error\n"
    assert [path.name for path in out.iterdir()] == ["precious"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["hf", "out"]


def test_an_old_folder_that_cannot_return_is_named(tmp_path, monkeypatch, capsys):
    source, out = write_hf(tmp_path / "hf"), full_folder(tmp_path / "out")
    fail_renames_to(monkeypatch, "/out", "/out")
    assert main([str(source), str(out), "--force"]) == 2
    error, hint = capsys.readouterr().err.splitlines()
    assert error.startswith(f"export_onnx: error: {out} could not be replaced: ")
    old = Path(hint.removeprefix("export_onnx: hint: what it held is in "))
    assert [path.name for path in old.iterdir()] == ["precious"]
    assert {path.name for path in tmp_path.iterdir()} == {"hf", old.name}


def test_an_old_folder_that_cannot_step_aside_stays(tmp_path, monkeypatch):
    source, out = write_hf(tmp_path / "hf"), full_folder(tmp_path / "out")

    def fail(*_args):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("os.rename", fail)
    assert main([str(source), str(out), "--force"]) == 2
    assert [path.name for path in out.iterdir()] == ["precious"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["hf", "out"]


def test_force_does_not_help_where_the_output_holds_the_source(tmp_path, capsys):
    source = write_hf(tmp_path / "work/hf")
    assert main([str(source), str(source), "--force"]) == 2
    assert main([str(source), str(tmp_path / "work"), "--force"]) == 2
    assert "holds the source" in capsys.readouterr().err
    assert (source / "model.safetensors").exists()


def test_messages_of_the_command_line(tmp_path, capsys):
    assert main([str(tmp_path / "none"), str(tmp_path / "out")]) == 2
    assert "no such file or folder" in capsys.readouterr().err
    (tmp_path / "empty").mkdir()
    assert main([str(tmp_path / "empty"), str(tmp_path / "out")]) == 2
    assert "config.json: No such file" in capsys.readouterr().err
    source = write_hf(tmp_path / "hf")
    (source / "config.json").write_text(json.dumps(BASE | {"model_type": "phi3"}))
    assert main([str(source), str(tmp_path / "out")]) == 2
    error, hint = capsys.readouterr().err.splitlines()
    assert error.startswith("export_onnx: error: config.json: model_type: 'phi3'")
    assert hint.startswith("export_onnx: hint: ") and not hint.endswith(".")
