"""Time of `import wavelens` and of its engine, against `import scipy.linalg`; whole processes."""

from __future__ import annotations

import subprocess
import sys

from _measure import alternate, arguments, print_header, print_table, verdict


def main() -> None:
    options = arguments(__doc__)
    statements = {
        "nothing": "pass",
        "import scipy.linalg": "import scipy.linalg",
        "import wavelens": "import wavelens",
        "import wavelens.linalg": "import wavelens.linalg",
        "import wavelens.patterns": "import wavelens.patterns",
    }
    seconds = alternate(
        {
            name: lambda code=code: subprocess.run([sys.executable, "-c", code], check=True)
            for name, code in statements.items()
        },
        2 if options.quick else max(options.repeats, 9),
    )
    base = seconds["nothing"]
    peer = seconds["import scipy.linalg"] - base
    print_header("Import, seconds above an empty process")
    rows = []
    for name in list(statements)[1:]:
        ratio = (seconds[name] - base) / peer
        rows.append(
            [
                name,
                seconds[name] - base,
                ratio,
                verdict(ratio, 1.3, at_most=True) if name == "import wavelens" else "",
            ]
        )
    print_table(["statement", "seconds", "ratio to scipy.linalg", "target"], rows)


if __name__ == "__main__":
    main()
