"""What is printed of training by several processes."""

import json

from runtime.bench.workload import workload
from runtime.ranks.alpha_beta import Link, Shared, StepTime
from runtime.ranks.measured import Measured, SharedBatch

LINK = Link(alpha=1e-6, beta=1e-10, gamma=1e-11)
# a share takes 2 us a sample where one alone takes 1: never worth two, and worth more than two
MODEL = Shared(
    alone=StepTime(fixed=0.0, per_sample=1e-6),
    share=StepTime(fixed=5e-6, per_sample=2e-6),
    size=208,
    link=LINK,
)
FOUND = Measured(
    work=workload("circles"),
    processes=2,
    parameters=52,
    link=LINK,
    sum_seconds=2e-6,
    batches=(
        SharedBatch(batch=10, alone=1e-6, computing=2.5e-6, together=2e-6, ratios=(0.5, 0.4, 0.6)),
    ),
    model=MODEL,
)


def test_the_table_says_from_where_on_it_pays() -> None:
    lines = str(FOUND).splitlines()
    assert lines[0].startswith("2-10-2, float32: 52 gradients, 0.208 kB, are added up")
    assert lines[1].startswith("a message between two processes takes 1.00 us, and 10.0 GB/s")
    assert lines[2] == "the sum over 2 takes 2.00 us; modelled, by recursive doubling: 1.02"
    assert lines[6].split() == ["10", "1000", "500", "0.500", "(0.400", "–", "0.600)"]
    rows = [line.split() for line in lines[-6:]]
    assert [row[0] for row in rows] == ["2", "4", "16", "64", "256", "1,000"]
    assert rows[0][-2:] == ["never", "never"]  # 2 (1 - 2/2) = 0 gained by a sample more
    # four: 5 + 2 n + 2.05 us against 4 n
    assert rows[1][-2:] == ["4", "never"]


def test_every_figure_is_in_json() -> None:
    found = json.loads(FOUND.to_json())
    assert found["model"][0]["pays_from"] is None
    assert found["model"][1]["speedup"] == {"10": MODEL.speedup(4, 10)}
    assert found["batches"][0]["ratios"] == [0.5, 0.4, 0.6]
    assert found["link"] == {"alpha": 1e-6, "beta": 1e-10, "gamma": 1e-11}
