"""Run the programs of the learning path and put down what they print and draw: `make learn`.

python docs/learn/refresh.py [NAME ...]
"""

import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
SHARED = {"was_or_were"}  # imported by others, prints nothing


def programs() -> list[str]:
    """The names of all programs."""
    return sorted(path.stem for path in (HERE / "code").glob("*.py") if path.stem not in SHARED)


def main() -> None:
    """Run those named, or all."""
    for name in sys.argv[1:] or programs():
        done = subprocess.run(
            [sys.executable, HERE / "code" / f"{name}.py", HERE / "images"],
            env={**os.environ, "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1"), "MPLBACKEND": "agg"},
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            check=True,
        )
        (HERE / "output" / f"{name}.txt").write_text(done.stdout, encoding="utf-8")
        print(f"{name}: {len(done.stdout.splitlines())} lines")


if __name__ == "__main__":
    main()
