"""How long does a derivation take, and does it grow in step with the depth?

    python examples/derivation_time.py [N...]

For each number N of hidden layers a fresh process derives the gradients of a network with N
hidden layers of width 10 and writes them as text, three times over; the least time counts.
Start-up (Python, SymPy) is not in it. It is the processor's time, so that other work on the
machine hardly counts; the derivation runs in one thread. Nothing is kept from one process
to the next, so the first layers pay for what later layers share: the time per layer falls,
then stays.
"""

import itertools
import subprocess
import sys
import time

DEPTHS = (0, 1, 2, 10, 50, 200)
REPEATS = 3
STAGES = ("loss", "gradient", "rewriting", "text")


def times(depth: int) -> list[float]:
    """Return the seconds that each stage takes in this process, at its first use."""
    import sympy  # noqa: F401  # start-up

    import derive
    from derive.report import text_report

    text = "-".join(map(str, [2, *[10] * depth, 2]))
    stamps = [time.process_time()]
    spec = derive.parse_spec(text)
    loss = derive.loss_program(spec)
    stamps.append(time.process_time())
    raw = derive.gradient_program(loss)
    stamps.append(time.process_time())
    program = derive.rewrite_program(raw)
    stamps.append(time.process_time())
    text_report(program, spec)
    stamps.append(time.process_time())
    return [end - start for start, end in itertools.pairwise(stamps)]


def measured(depth: int) -> list[float]:
    """Return the times of the quickest of several fresh processes."""
    runs = []
    for _ in range(REPEATS):
        command = [sys.executable, __file__, "--once", str(depth)]
        output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        runs.append([float(word) for word in output.split()])
    return min(runs, key=sum)


def main() -> None:
    if sys.argv[1:2] == ["--once"]:
        print(*times(int(sys.argv[2])))
        return
    depths = [int(word) for word in sys.argv[1:]] or DEPTHS
    heading = "".join(f"{stage:>12}" for stage in (*STAGES, "all", "per layer"))
    print(f"{'N':>5}{heading}")
    for depth in depths:
        found = measured(depth)
        columns = [f"{seconds:10.3f} s" for seconds in (*found, sum(found))]
        print(f"{depth:>5}{''.join(columns)}{1e3 * sum(found) / (depth + 1):9.1f} ms")


if __name__ == "__main__":
    main()
