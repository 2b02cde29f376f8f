"""Run the command as ``python -m wavelens``."""

from __future__ import annotations

import sys

from wavelens.cli._main import main

if __name__ == "__main__":
    sys.exit(main())
