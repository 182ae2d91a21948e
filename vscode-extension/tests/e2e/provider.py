"""An HTTP provider on loopback that answers as the server's own tests have it, in words fit to be seen.

Prints its URL, and serves until it is ended. ``--key KEY`` is the only key it takes, if it is given.
"""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "tests"))

from servers import FakeLLMServer

TEXTS = {
    "": "One row for each of them, as the warehouse has it.",
    "duration_minutes": "Minutes from unlocking the bike to locking it again; empty while it is out.",
    "distance_km": "Kilometres ridden, as the bike's own odometer has them.",
    "is_round_trip": "Whether the bike was brought back to the station where the trip began.",
    "rider_trip_number": "How many trips the rider had made when this one ended.",
    "busiest_rank": "Place of the day among all days of the station, by number of trips; 1 is the busiest.",
}


def main() -> int:
    """Serve until SIGTERM."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--key")
    options = parser.parse_args()
    with FakeLLMServer(key=options.key) as server:
        server.describe = lambda name: TEXTS.get(name, f"What is known of {name.replace('_', ' ')}.")
        print(server.url, flush=True)
        signal.sigwait({signal.SIGTERM, signal.SIGINT})
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
