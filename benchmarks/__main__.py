"""`python -m benchmarks [name…] [--records N]`: run the named benchmarks, or all of them."""

import argparse
import sys

from benchmarks import demo, fetching, history, polling, reconciling

BENCHMARKS = {
    "fetching": fetching.run,
    "polling": polling.run,
    "reconciling": reconciling.run,
    "history": history.run,
    "demo": demo.run,
}


def main() -> int:
    """Run them in the order they were named; exit 1 if one of them found a wrong result."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="name", help=f"one or more of {', '.join(BENCHMARKS)} (all)")
    parser.add_argument(
        "--records", type=int, default=1_000_000, help="how many records to poll and reconcile (1000000)"
    )
    chosen = parser.parse_args()
    if unknown := sorted(set(chosen.names) - set(BENCHMARKS)):
        parser.error(f"there is no benchmark {', '.join(unknown)}; there are {', '.join(BENCHMARKS)}")
    passed = [BENCHMARKS[name](chosen.records) for name in chosen.names or BENCHMARKS]
    return 0 if all(passed) else 1


if __name__ == "__main__":
    sys.exit(main())
