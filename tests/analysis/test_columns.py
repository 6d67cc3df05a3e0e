"""Readings by columns give the same series as readings by rows."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from energyrecorder_analysis.series import PowerRow, PowerSeries, SourceFacts

numbers = st.one_of(st.none(), st.sampled_from([0.0, 1.0, 2.5, -1.0, float("nan")]))
facts = st.builds(
    SourceFacts,
    window_s=numbers,
    refresh_s=numbers,
    quantum_w=numbers,
    clock=st.sampled_from(["bmc", "poll", None]),
    source=st.sampled_from(["dcmi", "sensor", None]),
    side=st.sampled_from(["ac", "dc", "unknown", None]),
    accuracy_pct=numbers,
)


@given(data=st.data(), sources=st.lists(facts, min_size=1, max_size=4))
def test_both_ways_give_the_same_series(data, sources):
    count = data.draw(st.integers(0, 12))
    readings = [
        (
            data.draw(st.integers(0, 6)),
            data.draw(numbers),
            data.draw(st.integers(0, len(sources) - 1)),
        )
        for _ in range(count)
    ]
    by_rows = PowerSeries.from_rows("n", [PowerRow(t_ns, watts, *sources[k]) for t_ns, watts, k in readings])
    time_ns, watts, source = zip(*readings, strict=True) if readings else ((), (), ())
    by_columns = PowerSeries.from_columns("n", time_ns, watts, source, sources)
    for name in ("time_ns", "watts", "window_s", "refresh_s", "quantum_w", "bmc_clock"):
        np.testing.assert_array_equal(getattr(by_rows, name), getattr(by_columns, name))
    assert (by_rows.side, by_rows.accuracy_pct) == (by_columns.side, by_columns.accuracy_pct)
    assert [by_rows.sources[k] for k in by_rows.source] == [by_columns.sources[k] for k in by_columns.source]
