"""`scripts/docs`: writes every reference page."""

from pathlib import Path

from reference_pages import PAGES

ROOT = Path(__file__).resolve().parents[2]

for place, write in PAGES.items():
    path = ROOT / place
    path.write_text(write(), encoding="utf-8")
    print(place)
