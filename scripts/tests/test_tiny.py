"""The committed fixtures: reproducible, and scored as torch scored them."""

import json
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer

import tiny
from helpers import ROOT, Model

TESTDATA = ROOT / "testdata"


@pytest.fixture(scope="module")
def fresh(tmp_path_factory):
    out = tmp_path_factory.mktemp("fresh")
    tiny.write_fixtures(out)
    return out


def files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes()
            for path in sorted(folder.rglob("*")) if path.is_file()}


def test_two_runs_give_the_same_bytes(fresh, tmp_path):
    tiny.write_fixtures(tmp_path)
    assert files(tmp_path) == files(fresh)


def test_the_committed_fixtures_are_those_of_the_script(fresh):
    for name, data in files(fresh).items():
        assert (TESTDATA / name).read_bytes() == data, f"{name}: run python scripts/tiny.py"
    for folder in fresh.iterdir():
        committed = {f"{folder.name}/{name}" for name in files(TESTDATA / folder.name)}
        assert committed <= set(files(fresh)), "a committed fixture that no script writes"


def test_fixtures_are_small(fresh):
    for folder in fresh.iterdir():
        models = len(list(folder.glob("*.onnx")))
        assert sum(map(len, files(folder).values())) < 400_000 * max(1, models)


def answer_nll(logits: np.ndarray, ids: list[int], count: int) -> float:
    rows = logits[-count - 1:-1].astype(np.float64)
    rows -= rows.max(-1, keepdims=True)
    log_probs = rows - np.log(np.exp(rows).sum(-1, keepdims=True))
    return -log_probs[np.arange(count), ids[-count:]].mean()


@pytest.mark.parametrize(("fixture", "limit"), [
    ("tiny-gqa", 2e-4), ("tiny-explicit", 2e-4), ("tiny-gqa-fp16", 0.05)])
def test_scores_are_those_of_torch(fixture, limit):
    golden = json.loads((TESTDATA / "goldens/tiny/rows.json").read_text(encoding="utf-8"))
    tokenizer = Tokenizer.from_file(str(TESTDATA / fixture / "tokenizer.json"))
    tokenizer.encode_special_tokens = True
    model = Model(TESTDATA / fixture)
    worst = 0.0
    for sequence in (s for row in golden["rows"] for s in row["sequences"]):
        ids = sequence["ids"]
        assert tokenizer.encode(sequence["text"]).ids == ids
        logits = model.run([ids])[0][0]
        worst = max(worst, abs(answer_nll(logits, ids, sequence["num_answer"]) - sequence["nll"]))
        for i, want in enumerate(sequence.get("logits", [])):
            got = logits[len(ids) - sequence["num_answer"] - 1 + i]
            np.testing.assert_allclose(got[:8], want["first"], atol=limit)
            assert fixture.endswith("fp16") or got.argmax() == want["argmax"]
    print(f"{fixture}: largest difference to torch {worst:.2g} nats")
    assert worst < limit


def test_log_probabilities_are_not_flat():
    logits = Model(TESTDATA / "tiny-gqa").run([list(range(20, 60))])[0]
    assert logits.std() > 2


def test_nan_fixture_spoils_only_its_own_row():
    model = Model(TESTDATA / "tiny-nan")
    tokenizer = Tokenizer.from_file(str(TESTDATA / "tiny-nan/tokenizer.json"))
    bad, good = tokenizer.encode("a ~ b").ids, tokenizer.encode("a - b").ids
    logits, _ = model.run([bad, good])
    assert np.isnan(logits[0, -1]).all()
    assert np.isfinite(logits[1]).all()


def run_raw(name: str, **inputs):
    return Model(TESTDATA / name).session.run(None, inputs)[0]


def test_variants_agree_with_the_plain_model():
    ids = np.array([[40, 77, 301, 12, 9]])
    want, _ = Model(TESTDATA / "tiny-explicit").run(ids)
    last, _ = Model(TESTDATA / "tiny-lastlogits").run(ids)
    assert last.shape == (1, 1, 512)
    np.testing.assert_allclose(last, want[:, -1:], atol=1e-4)
    raw = run_raw("tiny-rawnames", tokens=ids, mask=np.ones_like(ids))
    np.testing.assert_allclose(raw, want, atol=1e-5)
    past = Model(TESTDATA / "tiny-numlogits").empty_past(1)
    for keep in (0, 1, 3):
        got = run_raw("tiny-numlogits", input_ids=ids, attention_mask=np.ones_like(ids),
                      position_ids=np.arange(5)[None], num_logits_to_keep=np.array(keep), **past)
        np.testing.assert_allclose(got, want[:, -keep:], atol=1e-5)


@pytest.mark.parametrize(("fixture", "plain"), [
    ("tiny-badcache", "tiny-gqa"), ("tiny-badcache-explicit", "tiny-explicit")])
def test_a_bad_cache_shows_only_once_it_is_read(fixture, plain):
    bad, good = Model(TESTDATA / fixture), Model(TESTDATA / plain)
    logits, present = bad.run([[40, 77, 301]])
    want, want_present = good.run([[40, 77, 301]])
    np.testing.assert_array_equal(logits, want)
    for got, other in ((0, 1), (1, 0)):
        at = "past_key_values.{}.{}".format
        np.testing.assert_array_equal(present[at(got, "key")], want_present[at(other, "key")])
        np.testing.assert_array_equal(present[at(got, "value")], want_present[at(got, "value")])
    mask = np.ones((1, 4), np.int64)
    change = (bad.run([[12]], mask, present)[0] - good.run([[12]], mask, want_present)[0])
    assert np.abs(change).max() > 1


def test_tokenizer_fixtures():
    def tokens(name, text):
        return Tokenizer.from_file(str(TESTDATA / "tokenizers" / name / "tokenizer.json")).encode(
            text)

    encoding = tokens("bos-eos", "the sea")
    assert (encoding.tokens[0], encoding.tokens[-1]) == ("<|bos|>", "<|eos|>")
    encoding = tokens("metaspace", "the é")
    assert encoding.tokens == ["<s>", "▁the", "▁", "<0xC3>", "<0xA9>"]
    assert encoding.offsets[-2:] == [(4, 5), (4, 5)]
