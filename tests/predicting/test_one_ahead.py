"""What a thread makes ahead comes in order, no further ahead than one, and its errors where it would have come."""

import threading
import time

import pytest

from sslkit.prefetch import one_ahead


def test_order_errors_and_how_far_ahead():
    made = []

    def items():
        for number in range(5):
            made.append(number)
            yield number
        raise OSError("five")

    ahead = one_ahead(items())
    for number in range(5):
        assert next(ahead) == number
        assert len(made) <= number + 2
    with pytest.raises(OSError, match="five"):
        next(ahead)
    assert list(one_ahead(iter(()))) == []


def test_it_is_made_in_another_thread_which_ends_with_its_reader():
    where = []

    def items():
        while True:
            where.append(threading.current_thread())
            yield 0

    ahead = one_ahead(items())
    next(ahead)
    ahead.close()
    assert where[0] is not threading.current_thread() and not where[0].is_alive()


def test_a_reader_does_not_wait_for_ever_for_input_that_never_comes():
    never = threading.Event()

    def items():
        yield 0
        never.wait()

    ahead = one_ahead(items(), patience=0.01)
    assert next(ahead) == 0
    ahead.close()
    never.set()
    while any(thread.name.endswith("(_make)") and thread.is_alive() for thread in threading.enumerate()):
        time.sleep(0.001)
