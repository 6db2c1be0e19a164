from dataclasses import replace

import pytest

from benchmarks.tables import Row, memory_table, ratio, table
from benchmarks.workloads import WORKLOADS


def mlp_rows():
    return [
        Row("fit", "fit", [100.0, 50.0, 110.0], peak_bytes=600_000_000),
        Row("fit_32", "fit(steps_per_execution=32)", [400.0, 200.0, 440.0]),
        Row("orbit", "Orbit", problem="not installed: pip install it, which is a long command"),
        Row("ours", "ours", [1000.0, 500.0, 990.0], 700_000_000, 1, 0),
    ]


def test_a_ratio_is_taken_within_each_round():
    # Over the medians it would be 990 / 100; a slow second round is slow for both.
    rows = mlp_rows()
    assert ratio(rows[3], rows[:1]) == pytest.approx(10.0)


def test_the_reference_is_the_fastest_of_several():
    rows = mlp_rows()
    assert ratio(rows[3], rows[:3]) == pytest.approx(2.5)
    assert ratio(rows[2], rows[:1]) is None
    assert ratio(rows[3], [rows[2]]) is None


def test_the_table_is_aligned_and_says_what_is_missing():
    lines = table(WORKLOADS["mlp"], mlp_rows()).splitlines()
    assert lines[0].split("|")[2:6] == [
        " steps/s ", " x fit ", " x fit(steps_per_execution=32) ", " x Orbit ",
    ]  # fmt: skip
    assert [cell.strip() for cell in lines[2].strip("|").split("|")] == [
        "fit", "100", "1.00", "0.25", "", "600", "", "0",
    ]  # fmt: skip
    assert [cell.strip() for cell in lines[5].strip("|").split("|")] == [
        "ours", "990", "10.00", "2.50", "", "700", "1", "0",
    ]  # fmt: skip
    assert "pip install it" in lines[4]
    aligned = [line for line in lines if "pip install" not in line]
    assert len({len(line) for line in aligned}) == 1


def test_rates_below_a_hundred_keep_three_figures():
    rows = [replace(mlp_rows()[0], rates=[1.2345])]
    assert "| 1.23 |" in table(WORKLOADS["inception"], rows).replace("    ", "")


def test_the_memory_table_shows_growth():
    text = memory_table(
        (200, 2000),
        {"jit=False": ({200: 500_000_000, 2000: 501_500_000}, {"train": 1, "test": 1}, 0)},
    )  # fmt: skip
    assert "MB after 200 chunks" in text
    assert "MB after 2,000" in text
    assert "+1.5" in text
