"""Size of a batch: halved after a transaction that outlived its time, grown again after quick ones."""

from sheetbreak.streams.kafka.transaction import BatchSize


def test_a_batch_is_halved_until_its_transaction_is_in_time_and_then_stays() -> None:
    size = BatchSize(10_000, timeout_s=15.0)
    for _ in range(30):
        size.took(size.rows, size.rows * 0.023)  # 30 kB/s
    assert size.rows * 0.023 < 15.0
    assert size.rows >= 300, "halved further than it needs"


def test_a_batch_grows_again_when_the_line_is_quick_and_never_over_its_limit() -> None:
    size = BatchSize(1000, timeout_s=15.0)
    size.took(7, 20.0)  # a small batch lost to an outage says no more than its own size
    assert size.rows == 3
    size.took(1, 20.0)
    assert size.rows == 3
    size.took(2, 0.1)  # it was not full: nothing is known of larger ones
    assert size.rows == 3
    for _ in range(20):
        size.took(size.rows, 0.1)
    assert size.rows == 1000
