"""What plugins remember: a row for each image, and a queue of the newest rows."""

from collections import deque

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sslkit_plugins import memory
from sslkit_plugins.memory import Queue, Rows, last_of_each

DRAWN = st.lists(st.tuples(st.integers(0, 5), st.booleans()), max_size=12)


@pytest.mark.parametrize("pairs", [0, memory.PAIRS])
@given(drawn=st.lists(DRAWN, min_size=1, max_size=4))
def test_of_an_image_that_comes_twice_the_last_row_is_written(pairs: int, drawn: list[list[tuple[int, bool]]]) -> None:
    """As a dictionary has it, whether rows are compared in pairs or by a table."""
    rows, known = Rows(6, 2, fill=-1), dict.fromkeys(range(6), -1.0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(memory, "PAIRS", pairs)
        for number, batch in enumerate(drawn):
            index = torch.tensor([image for image, _ in batch], dtype=torch.long)
            kept = torch.tensor([keep for _, keep in batch], dtype=torch.bool)
            values = 100.0 * number + torch.arange(len(batch))
            written = rows.write(index, values[:, None].expand(-1, 2), kept)
            last = {image: row for row, (image, keep) in enumerate(batch) if keep}
            known |= {image: values[row].item() for image, row in last.items()}
            assert written.nonzero().flatten().tolist() == sorted(last.values())
            assert rows.values[:, 0].tolist() == list(known.values())
            assert torch.equal(rows.values[:, 0], rows.values[:, 1])
            assert rows.read(index)[:, 1].tolist() == [known[image] for image, _ in batch]


def test_last_rows_by_hand() -> None:
    index, kept = torch.tensor([3, 1, 3, 3, 0]), torch.tensor([True, True, True, False, False])
    assert last_of_each(index, kept, 4).tolist() == [2, 1, 2, 2, -1]
    assert last_of_each(index, torch.ones_like(kept), 4).tolist() == [3, 1, 3, 3, 4]


def test_rows_have_a_type_no_gradient_and_room() -> None:
    rows = Rows(2, fill=-1, dtype=torch.int16)
    assert rows.values.tolist() == [-1, -1] and rows.write(torch.tensor([1]), torch.tensor([7.0])).tolist() == [True]
    rows.grow(3), rows.grow(1)
    assert rows.values.tolist() == [-1, 7, -1] and rows.values.dtype == torch.int16 and len(rows) == 3
    held = rows.values
    rows.load(torch.tensor([1, 2, 3]))
    assert held.tolist() == [1, 2, 3]
    learned = Rows(2)
    learned.write(torch.tensor([0]), torch.ones(1, requires_grad=True))
    assert not learned.values.requires_grad


@given(st.lists(st.integers(1, 12), min_size=1, max_size=6), st.integers(1, 7))
def test_a_queue_holds_the_newest_rows(sizes: list[int], room: int) -> None:
    queue, newest, said = Queue(room, one=(2,), other=()), deque[float](maxlen=room), 0
    for size in sizes:
        values = torch.arange(said, said + size, dtype=torch.float64)
        queue.push(one=values[:, None].expand(-1, 2), other=values)
        newest.extend(values.tolist())
        said += size
        assert sorted(queue["other"].tolist()) == list(newest) and len(queue) == len(newest)
        assert torch.equal(queue["one"][:, 1], queue["other"])
