"""Whether words of ours can be read against what is really painted behind them.

axe-core reads style sheets, and leaves it open where a window lies over the page or a canvas behind a node. Here the
background is what most pixels around the words are, in a picture of the page.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any, NamedTuple

from PIL import Image

if TYPE_CHECKING:
    from .page import Page

WORDS = """
const paint = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
const rgba = (color) => {
  paint.clearRect(0, 0, 1, 1);
  paint.fillStyle = color;
  paint.fillRect(0, 0, 1, 1);
  const [red, green, blue, alpha] = paint.getImageData(0, 0, 1, 1).data;
  return [red, green, blue, alpha / 255];
};
const told = [];
const tell = (element, box, words, color, opacity = 1) => {
  const x = box.x + box.width / 2, y = box.y + box.height / 2;
  const inside = box.width > 2 && box.height > 2 && x > 0 && y > 0 && x < innerWidth && y < innerHeight;
  const top = inside ? document.elementFromPoint(x, y) : null;
  if (!top || !(element.contains(top) || top.contains(element))) return;
  const style = getComputedStyle(element);
  for (let above = element; above; above = above.parentElement) opacity *= Number(getComputedStyle(above).opacity);
  const scale = element.offsetHeight ? element.getBoundingClientRect().height / element.offsetHeight : 1;
  const font = { size: parseFloat(style.fontSize) * scale, bold: Number(style.fontWeight) >= 700 };
  const place = [box.x, box.y, box.width, box.height];
  told.push({ ...font, words: words.trim().slice(0, 60), box: place, color: rgba(color), opacity });
};
const idle = (element) => element.closest(":disabled, [aria-disabled=true], [aria-busy=true], [aria-hidden=true]");
for (const root of shown) {
  for (const element of [root, ...root.querySelectorAll("*")]) {
    if (!element.checkVisibility({ visibilityProperty: true, opacityProperty: true }) || idle(element)) continue;
    for (const child of element.childNodes) {
      if (child.nodeType !== Node.TEXT_NODE || !child.textContent.trim()) continue;
      const range = document.createRange();
      range.selectNodeContents(child);
      const [box] = range.getClientRects();
      if (box) tell(element, box, child.textContent, getComputedStyle(element).color);
    }
    if (element.matches("input:not([type=checkbox], [type=radio], [type=range]), textarea, select")) {
      const empty = !element.value && element.placeholder;
      const { color, opacity } = getComputedStyle(element, empty ? "::placeholder" : null);
      const words = empty || element.value;
      if (words) tell(element, element.getBoundingClientRect(), words, color, empty ? Number(opacity) : 1);
    }
  }
}
return told;
"""
AROUND = 3
"""Pixels around words that count as behind them."""


class Faint(NamedTuple):
    """Words with too little contrast."""

    words: str
    ratio: float
    wanted: float

    def __str__(self) -> str:
        return f"{self.words!r} has a contrast of {self.ratio:.1f}, not {self.wanted:g}"


def faint(page: Page, topmost: str, *selectors: str) -> list[Faint]:
    """The words that WCAG 2.2 (1.4.3, AA) takes for hard to read, of what *topmost* finds."""
    told = page.tab.ask(topmost + WORDS, selectors)
    picture = Image.open(io.BytesIO(page.tab.picture())).convert("RGB")
    wide = picture.width / page.tab.ask("return innerWidth")
    found = []
    for each in told:
        left, top, width, height = (value * wide for value in each["box"])
        area = picture.crop(
            (
                max(0, round(left - AROUND)),
                max(0, round(top - AROUND)),
                min(picture.width, round(left + width + AROUND)),
                min(picture.height, round(top + height + AROUND)),
            )
        )
        _, behind = max(area.getcolors(area.width * area.height))
        ratio = contrast(_over(each, behind), behind)
        large = each["size"] >= 24 or (each["bold"] and each["size"] >= 18.66)
        wanted = 3.0 if large else 4.5
        if ratio < wanted:
            found.append(Faint(each["words"], ratio, wanted))
    return found


def _over(told: dict[str, Any], behind: tuple[int, ...]) -> tuple[float, ...]:
    *color, alpha = told["color"]
    share = alpha * told["opacity"]
    return tuple(share * front + (1 - share) * back for front, back in zip(color, behind, strict=True))


def contrast(one: tuple[float, ...], other: tuple[float, ...]) -> float:
    """From 1 (the same) to 21 (black on white)."""
    darker, lighter = sorted((_light(one), _light(other)))
    return (lighter + 0.05) / (darker + 0.05)


def _light(color: tuple[float, ...]) -> float:
    linear = [
        value / 12.92 if value <= 0.03928 else ((value + 0.055) / 1.055) ** 2.4
        for value in (each / 255 for each in color)
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
