"""The latency histogram says what prometheus_client's own would."""

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Histogram

from monitor.metrics.latency import BUCKETS_S, Latency

NOW_S = 1_800_000_000.0
edges_ms = st.sampled_from([round(1000 * (NOW_S - bound)) for bound in BUCKETS_S])
timestamps_ms = st.lists(st.none() | edges_ms | st.integers(round(1000 * (NOW_S - 4000)), round(1000 * (NOW_S + 10))))


@given(st.lists(timestamps_ms, max_size=4))
def test_a_batch_at_once_counts_as_prometheus_does_one_by_one(batches: list[list[int | None]]):
    registry, latency = CollectorRegistry(), Latency()
    theirs = Histogram("seconds", "", buckets=BUCKETS_S, registry=registry)
    for batch in batches:
        latency.observe(batch, now_s=NOW_S)
        for timestamp_ms in batch:
            if timestamp_ms is not None:
                theirs.observe(max(0.0, NOW_S - timestamp_ms / 1000))
    found = {(s.name.rpartition("_")[2], s.labels.get("le")): s.value for s in latency.collect().samples}
    for (name, le), value in found.items():
        expected = registry.get_sample_value(f"seconds_{name}", {"le": le} if le else {})
        assert expected is not None
        assert abs(value - expected) < 1e-6, (name, le)
    assert len(found) == len(BUCKETS_S) + 3
