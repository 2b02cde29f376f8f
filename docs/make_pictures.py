"""Make the pictures of the README: the top of a report and a pair of classes, as headless Chromium shows them.

Run it by hand after the report has changed, with Chromium installed and Wavelens in the environment:

    python docs/make_pictures.py

It analyses the digits that come with scikit-learn, so it needs no other data, and writes `docs/report.png` and
`docs/between.png`.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests"))

from chromium import Chromium, find_chromium  # noqa: E402  (the tests' way to Chromium)

WIDTH = 1200
# Each picture: where on the page its top is, and its height.
PICTURES = {"report": ("overview", 1000), "between": ("pair-1", 810)}
COLORS = 128


def main() -> None:
    """Analyse, photograph, and write the pictures with few colours."""
    if find_chromium() is None:
        sys.exit("Chromium is needed (Debian: apt-get install chromium)")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        subprocess.run([sys.executable, "-m", "wavelens", "analyze", "digits"], cwd=folder, check=True)
        with Chromium(find_chromium(), folder / "profile") as browser:
            browser.media(scheme="light")
            for name, (place, height) in PICTURES.items():
                browser.resize(WIDTH, height)
                browser.open(folder / "wavelens-report-digits" / "report.html")
                browser.run(f"document.getElementById('{place}').scrollIntoView({{behavior: 'instant'}})")
                browser.run("new Promise((done) => setTimeout(done, 500))")
                browser.screenshot(folder / "picture.png")
                picture = Image.open(folder / "picture.png").convert("RGB")
                target = HERE / f"{name}.png"
                picture.quantize(COLORS, dither=Image.Dither.NONE).save(target, optimize=True)
                print(f"{target}: {picture.width} × {picture.height}, {target.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
