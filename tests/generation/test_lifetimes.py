"""Lifetimes, and the first fit: what is needed at the same time never shares memory."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from codegen.lifetimes import Lifetime, first_fit, lifetimes


def test_a_lifetime_reaches_from_the_writing_to_the_last_reading() -> None:
    written = [(0, "Z"), (1, "H"), (3, "U")]
    read = [(1, "Z"), (2, "H"), (5, "H"), (4, "X")]
    assert lifetimes(written, read) == {
        "Z": Lifetime(0, 1),
        "H": Lifetime(1, 5),
        "U": Lifetime(3, 3),  # nobody reads it
    }


def test_the_largest_is_placed_first_and_small_ones_into_it() -> None:
    needed = {
        "a": Lifetime(0, 1),
        "b": Lifetime(1, 2),  # meets a
        "c": Lifetime(2, 3),  # meets b
        "d": Lifetime(4, 5),
    }
    sizes = {"a": 1, "b": 8, "c": 2, "d": 9}
    assert first_fit(needed, sizes) == {"d": "d", "b": "d", "c": "c", "a": "c"}


spans = st.tuples(st.integers(0, 12), st.integers(0, 6)).map(
    lambda pair: Lifetime(pair[0], sum(pair))
)


@given(st.lists(st.tuples(spans, st.integers(1, 9)), min_size=1, max_size=12))
def test_no_two_that_meet_share_memory_and_each_fits(drawn: list[tuple[Lifetime, int]]) -> None:
    needed = {f"t{n}": span for n, (span, _) in enumerate(drawn)}
    sizes = {f"t{n}": size for n, (_, size) in enumerate(drawn)}
    rooms = first_fit(needed, sizes)
    assert set(rooms) == set(needed)
    for name, room in rooms.items():
        assert rooms[room] == room
        assert sizes[name] <= sizes[room]
    for one, other in itertools.combinations(needed, 2):
        if rooms[one] == rooms[other]:
            assert not needed[one].meets(needed[other])
    # as many rooms as are needed at the busiest place, where all are of one size
    alike = first_fit(needed, dict.fromkeys(needed, 1))
    busiest = max(sum(s.meets(Lifetime(t, t)) for s in needed.values()) for t in range(20))
    assert len(set(alike.values())) == busiest
    assert first_fit(needed, sizes) == rooms
