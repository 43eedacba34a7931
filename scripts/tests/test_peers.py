"""The figures of the tables of make bench-peers and bench-rank."""

import math
import sys

import pytest

from peers import child, stats


def test_median():
    assert stats.median([3, 1, 2]) == 2
    assert stats.median([4, 1, 2, 9]) == 3
    assert stats.median([7]) == 7


def test_ratio_is_of_pairs():
    # The machine slowed down by ten in the second round, for both.
    assert stats.ratio([2, 20, 2.2], [1, 10, 1]) == 2


def test_ranks_share_ties():
    assert stats.ranks([0.5, -1, 0.5, 3]) == [2.5, 1, 2.5, 4]
    assert stats.ranks([]) == []


def test_spearman():
    assert stats.spearman([1, 2, 3, 4], [-4, 0, 7, 1e9]) == 1
    assert stats.spearman([1, 2, 3], [3, 2, 1]) == -1
    # By hand: ranks 1 2.5 2.5 4 and 1 3 2 4.
    assert stats.spearman([1, 2, 2, 3], [1, 3, 2, 4]) == pytest.approx(4.5 / math.sqrt(4.5 * 5))
    assert math.isnan(stats.spearman([1, 1], [1, 2]))
    with pytest.raises(ValueError, match="want lists of one length, got 1 and 2"):
        stats.spearman([1], [1, 2])


def test_rows_are_compared_apart():
    # Joined to one list, the rows would seem to agree.
    a, b = [[1, 2, 3], [101, 102, 103]], [[1, 2, 3], [103, 102, 101]]
    assert stats.lowest_spearman(a, b) == -1
    assert stats.largest_difference(a, b) == 2


def test_tokens_count_to_the_first_that_differs():
    assert stats.equal_tokens([[1, 2, 3], [4, 5, 6]], [[1, 2, 3], [4, 0, 6]]) == 4
    with pytest.raises(ValueError):
        stats.equal_tokens([[1, 2]], [[1]])


def test_work():
    config = {"hidden_size": 4, "intermediate_size": 8, "num_attention_heads": 2, "head_dim": 2,
              "num_key_value_heads": 1, "num_hidden_layers": 3, "vocab_size": 10}
    # A layer: q and o 4 x 4, k and v 4 x 2, three of 4 x 8.
    weights = 3 * (16 + 8 + 8 + 16 + 96)
    # Five tokens see 1 + 2 + 3 + 4 + 5 tokens, by two products of 2 heads of 2, in 3 layers.
    attention = 2 * 2 * (2 * 2) * 3 * 15
    assert stats.work(config, [(5, 2)]) == 2 * weights * 5 + attention + 2 * 2 * 4 * 10
    assert stats.work(config, [(5, 2), (5, 2)]) == 2 * stats.work(config, [(5, 2)])


def test_table():
    assert stats.table(["", "tokens/s"], [["one", "12"], ["two", "3"]]) == (
        "|  | tokens/s |\n| --- | ---: |\n| one | 12 |\n| two | 3 |")


def test_child_has_its_own_peak(tmp_path):
    def run(code, **options):
        return child.run([sys.executable, "-c", code], tmp_path / "log", 2, **options)

    # A child's peak begins with what its parent held when it was made.
    large = run("x = b'1' * (800 << 20); print('noise'); print('{\"seconds\": 1}')")
    small = run("import os; print('{\"threads\": %s}' % os.environ['OMP_NUM_THREADS'])")
    assert large["seconds"] == 1
    assert small["threads"] == 2
    assert large["peak"] > small["peak"] + 300
    with pytest.raises(child.Failed, match="exit status 3\noh"):
        run("import sys; print('oh', file=sys.stderr); sys.exit(3)")
    assert run("raise SystemExit(3)", ok=(0, 3))["peak"] > 0
