"""Make the picture of the README: the top of a report, as headless Chromium shows it.

Run it by hand after the report has changed, with Chromium installed and Wavelens in the environment:

    python docs/make_pictures.py

It analyses the digits that come with scikit-learn, so it needs no other data, and writes `docs/report.png`.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

SIZE = (1200, 1000)
COLORS = 128


def main() -> None:
    """Analyse, photograph, and write the picture with few colours."""
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if chromium is None:
        sys.exit("Chromium is needed (Debian: apt-get install chromium)")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        analyze = [sys.executable, "-m", "wavelens", "analyze", "digits", "--quiet"]
        subprocess.run(analyze, cwd=folder, check=True)
        photograph(chromium, folder / "wavelens-report-digits" / "report.html", folder)
        picture = Image.open(folder / "report.png").convert("RGB")
        target = Path(__file__).with_name("report.png")
        picture.quantize(COLORS, dither=Image.Dither.NONE).save(target, optimize=True)
    print(f"{target}: {picture.width} × {picture.height}, {target.stat().st_size / 1000:.0f} kB")


def photograph(chromium: str, page: Path, folder: Path) -> None:
    """Write what a window of SIZE shows of a page to `report.png` in a folder."""
    options = [
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--hide-scrollbars",
        "--blink-settings=preferredColorScheme=1",
        "--virtual-time-budget=10000",
        f"--user-data-dir={folder / 'profile'}",
        f"--window-size={SIZE[0]},{SIZE[1]}",
        f"--screenshot={folder / 'report.png'}",
    ]
    subprocess.run([chromium, *options, page.resolve().as_uri()], check=True, capture_output=True, timeout=120)


if __name__ == "__main__":
    main()
