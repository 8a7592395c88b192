"""Hypothesis draws seeds and sizes; the numbers themselves come from the seed.

Drawn floats would shrink to 0 and 1, where mistakes hide.
"""

from catalogue import ACTIVATIONS
from hypothesis import strategies as st

seeds = st.integers(0, 2**32 - 1)
batches = st.integers(1, 64)
widths = st.integers(1, 9)
outputs = st.integers(2, 7)  # softmax over one unit is refused


@st.composite
def layer_sizes(draw: st.DrawFn, hidden: int, most: int = 9) -> tuple[int, ...]:
    """Return sizes from input to output of a network; neighbours differ.

    Equal widths hide transpositions.
    """
    sizes = [draw(st.integers(1, most))]
    for layer in range(hidden + 1):
        least = 2 if layer == hidden else 1
        choices = [n for n in range(least, most + 1) if n != sizes[-1]]
        sizes.append(draw(st.sampled_from(choices)))
    return tuple(sizes)


hidden_activations = st.lists(
    st.sampled_from([name for name in ACTIVATIONS if "softmax" not in name]), min_size=1, max_size=3
)
