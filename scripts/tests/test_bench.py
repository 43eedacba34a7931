"""What the benchmarks' scripts compute and draw, without running anything."""

import io
import json
import xml.etree.ElementTree as ElementTree

import pytest

import bench_scaling
import bench_table
import profile_table
import scaling_plot

POINTS = [(n, 0.5 + n / 1000, 60.0) for n in bench_scaling.PAIRS]


def test_fit_finds_a_line_and_report_tells_what_is_off(capsys):
    a, b = bench_scaling.fit([(n, seconds) for n, seconds, _ in POINTS])
    assert (a, b) == pytest.approx((0.5, 1e-3))
    bench_scaling.report([*POINTS, (50_000, 1.1 * 50.5, 60.0)], a, b)
    assert "| 50,000 | 55.55 | 900 | +10.0% |" in capsys.readouterr().out


def test_rows_of_a_short_file_begin_a_longer_one(tmp_path):
    short, long = tmp_path / "short.jsonl", tmp_path / "long.jsonl"
    bench_scaling.write_rows(short, 10)
    bench_scaling.write_rows(long, 20)
    assert long.read_bytes().startswith(short.read_bytes())
    rows = [json.loads(line) for line in long.read_text(encoding="utf-8").splitlines()]
    assert sum(len(row["pos"] + row["neg"]) for row in rows) == 20
    words = [sum(len(text.split()) for text in row["pos"] + row["neg"]) for row in rows]
    assert set(words) == {sum(bench_scaling.PASSAGE_WORDS)}


def test_plot_has_a_dot_for_each_size_in_both_panels():
    svg = ElementTree.fromstring(scaling_plot.draw(POINTS, 0.5, 1e-3, 3000))
    assert len(svg.findall("{*}circle")) == 2 * len(POINTS)
    box = [float(v) for v in svg.attrib["viewBox"].split()]
    for dot in svg.iter("{http://www.w3.org/2000/svg}circle"):
        assert 0 < float(dot.attrib["cx"]) < box[2]
        assert 0 < float(dot.attrib["cy"]) < box[3]


def test_bench_table(monkeypatch, capsys):
    monkeypatch.setattr("sys.stdin", io.StringIO(
        "goos: linux\nBenchmarkGraph/tiny-gqa-2 \t 5\t 2.5 ratio\t 0.00001 difference\nPASS\n"))
    bench_table.main()
    assert capsys.readouterr().out == (
        "| | ratio | difference |\n|---|---|---|\n| Graph/tiny-gqa | 2.5 | 0.00001 |\n")
    monkeypatch.setattr("sys.stdin", io.StringIO("FAIL\tortscore\n"))
    with pytest.raises(SystemExit):
        bench_table.main()


def test_profile_parts_and_work():
    assert profile_table.part("/model/layers.3/post_attention_layernorm/Skip") == "norm"
    assert profile_table.part("/model/layers.3/attn/o_proj/MatMul") == "attention"
    assert profile_table.part("ortscore/logsoftmax") == "head, log-softmax"
    assert profile_table.part("/model/embed_tokens/Gather") == "embedding, mask"
    matmul = {"args": {"input_type_shape": [{"float": [2, 5, 3]}],
                       "output_type_shape": [{"float": [2, 5, 7]}]}}
    assert profile_table.flops(matmul) == ("3 x 7", 2 * 2 * 5 * 3 * 7)
    top = ("flat flat% sum% cum cum%\n 1s 40% 40% 1s 40%  [libonnxruntime.so]\n"
           " 0 0% 40% 1s 40%  runtime._ExternalCode\n")
    assert profile_table.outside_runtime(top) == pytest.approx(60)
