"""A headless Chromium for the tests of the page: what a person does in it, and what it says and asks meanwhile.

with Browser() as browser, browser.tab() as tab:
    tab.open("http://127.0.0.1:8188")
    tab.until("return document.querySelector('canvas') !== null")
    tab.press("Shift+Tab")
"""

from __future__ import annotations

from .chromium import CHROMIUM, Browser
from .records import Request, Said
from .tab import Tab

__all__ = ["CHROMIUM", "Browser", "Request", "Said", "Tab"]
