"""One tab: scripts in it, and the keyboard, the mouse and the eyes of a person."""

from __future__ import annotations

import base64
import json
import threading
import time
from typing import Any, NamedTuple

from .keys import pressed
from .records import Records, Request, Said
from .wire import Wire

DOMAINS = ("Page", "Runtime", "Network", "Log")
FIND = """
const wanted = (element) => {
  const named = element.getAttribute("aria-labelledby")?.split(" ").map((id) => document.getElementById(id)) ?? [];
  const labels = [...named, ...(element.labels ?? [])].map((each) => each?.textContent);
  const words = [element.ariaLabel, element.textContent, element.title, element.value, element.placeholder];
  words.push(...labels);
  return text === null || words.some((each) => typeof each === "string" && each.trim().includes(text));
};
const shown = (element) => element.checkVisibility({ visibilityProperty: true, opacityProperty: false });
const all = [...document.querySelectorAll(css)].filter((element) => shown(element) && wanted(element));
const same = (element) => [element.ariaLabel, element.textContent].some((each) => each?.trim() === text);
// The one that says just this goes before one that says it among other things, an inner one before its parent.
const exact = all.filter(same);
const best = exact.length ? exact : all;
const found = best.filter((one) => !best.some((other) => other !== one && one.contains(other)));
"""
WHERE = """
const element = found[0];
if (!element) return null;
element.scrollIntoView({ block: "nearest", inline: "nearest" });
await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
const box = element.getBoundingClientRect();
const x = box.x + box.width / 2, y = box.y + box.height / 2;
const top = document.elementFromPoint(x, y);
const free = !!top && (element.contains(top) || top.contains(element) || !!top.closest("label")?.contains(element));
return { x, y, free, over: free ? "" : `${top?.tagName}.${top?.className}` };
"""


class Point(NamedTuple):
    """In CSS pixels of the page's window."""

    x: float
    y: float


class Tab:
    """A tab as `Browser.tab` opens it."""

    def __init__(self, wire: Wire, session: str, size: tuple[int, int]) -> None:
        self._wire, self._session = wire, session
        self._size, self._zoom = size, 1.0
        self._records = Records()
        self._dragged: dict[str, Any] | None = None
        self._dragging = threading.Event()
        wire.listen(session, self._heard)
        for domain in DOMAINS:
            self.call(f"{domain}.enable")
        self.viewport(*size)

    # -- scripts ------------------------------------------------------------------------------------------------

    def open(self, address: str) -> None:
        self.call("Page.navigate", url=address)

    def ask(self, script: str, *arguments: Any) -> Any:
        """What the body of an async function comes to in the page; *arguments* are there as `given`."""
        told = self.call(
            "Runtime.evaluate",
            expression=f"""(async () => {{
              const given = {json.dumps(arguments)};
              return JSON.stringify(await (async () => {{ {script} }})());
            }})()""",
            awaitPromise=True,
            returnByValue=True,
            userGesture=True,
        )
        if "exceptionDetails" in told:
            thrown = told["exceptionDetails"]
            raise AssertionError(thrown.get("exception", {}).get("description") or json.dumps(thrown)[:2000])
        value = told["result"].get("value")
        return None if value is None else json.loads(value)

    def until(self, script: str, *arguments: Any, seconds: float = 20) -> Any:
        """*script* asked again until it comes to something true, which is given."""
        end, problem = time.monotonic() + seconds, ""
        while time.monotonic() < end:
            try:
                last = self.ask(script, *arguments)
            except AssertionError as error:  # the page is on its way to another
                problem = str(error)
            else:
                if last:
                    return last
                problem = repr(last)
            time.sleep(0.05)
        raise AssertionError(f"never true in {seconds:g} s: {script.strip()} {arguments or ''}: {problem}")

    def call(self, method: str, **parameters: Any) -> Any:
        """A command of DevTools itself."""
        return self._wire.call(method, parameters, self._session)

    # -- eyes ---------------------------------------------------------------------------------------------------

    @property
    def console(self) -> list[Said]:
        """What the page and the browser said since the records were cleared."""
        return list(self._records.console)

    @property
    def requests(self) -> list[Request]:
        """What the page asked for since the records were cleared."""
        return list(self._records.requests)

    def forget(self) -> None:
        """Clear the records of console and requests."""
        self._records.clear()

    def see(self, css: str, text: str | None = None, *, seconds: float = 20) -> str:
        """Wait for a visible element, and give its text.

        *text* is in its label, its text, its title or its value.
        """
        return self._until_found(css, text, "return found.length && [found[0].innerText ?? '']", seconds)[0]

    def count(self, css: str, text: str | None = None) -> int:
        """How many such elements are visible now."""
        return self.ask(f"const [css, text] = given; {FIND} return found.length", css, text)

    def gone(self, css: str, text: str | None = None, *, seconds: float = 20) -> None:
        """Wait until no such element is visible."""
        self.until(f"const [css, text] = given; {FIND} return !found.length", css, text, seconds=seconds)

    def picture(self) -> bytes:
        """The window as it looks now, a PNG."""
        return base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"])

    def viewport(self, width: int, height: int) -> None:
        """Give the window another size, in pixels of the screen."""
        self._size = (width, height)
        self._measure()

    def zoom(self, factor: float) -> None:
        """As the browser's own zoom: 2 halves the pixels that the page has, and doubles their size."""
        self._zoom = factor
        self._measure()

    def _measure(self) -> None:
        width, height = (round(each / self._zoom) for each in self._size)
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=self._zoom,
            mobile=False,
        )

    # -- hands --------------------------------------------------------------------------------------------------

    def press(self, *keys: str) -> None:
        """Real presses, one after the other: "Tab", "Shift+Tab", "Enter", "Control+a", "x"."""
        for each in keys:
            for event in pressed(each):
                self.call("Input.dispatchKeyEvent", **event)

    def type(self, words: str) -> None:
        """Type *words* where the focus is."""
        self.call("Input.insertText", text=words)

    def click(self, css: str, text: str | None = None, *, times: int = 1, button: str = "left") -> None:
        """A real click in the middle of a visible element, which must not lie below another."""
        self.click_at(self.where(css, text), times=times, button=button)

    def click_at(self, point: Point, *, times: int = 1, button: str = "left") -> None:
        self._mouse("mouseMoved", point)
        for number in range(1, times + 1):
            self._mouse("mousePressed", point, button=button, clickCount=number)
            self._mouse("mouseReleased", point, button=button, clickCount=number)

    def hover(self, css: str, text: str | None = None) -> None:
        self._mouse("mouseMoved", self.where(css, text))

    def wheel(self, css: str, down: float) -> None:
        """Turn the wheel over an element, by so many pixels."""
        self._mouse("mouseWheel", self.where(css), deltaX=0, deltaY=down)

    def drag(self, start: Point, end: Point) -> None:
        """Press, move, release; what the page makes a drag of its own (`draggable`) is dropped as one."""
        self._dragging.clear()
        self.call("Input.setInterceptDrags", enabled=True)
        try:
            self._mouse("mouseMoved", start)
            self._mouse("mousePressed", start, button="left", clickCount=1)
            middle = Point((start.x + end.x) / 2, (start.y + end.y) / 2)
            for point in (Point(start.x + 4, start.y + 4), middle, end):
                self._mouse("mouseMoved", point, button="left", buttons=1)
            if self._dragging.wait(0.2) and self._dragged is not None:
                for kind in ("dragEnter", "dragOver", "drop"):
                    self.call("Input.dispatchDragEvent", type=kind, x=end.x, y=end.y, data=self._dragged)
            self._mouse("mouseReleased", end, button="left", clickCount=1)
        finally:
            self.call("Input.setInterceptDrags", enabled=False)

    def where(self, css: str, text: str | None = None, *, seconds: float = 20) -> Point:
        """The middle of a visible element, once nothing lies above it."""
        found = self._until_found(
            css, text, f"const at = (await (async () => {{ {WHERE} }})()); return at?.free && at", seconds
        )
        return Point(found["x"], found["y"])

    def _until_found(self, css: str, text: str | None, then: str, seconds: float) -> Any:
        try:
            return self.until(f"const [css, text] = given; {FIND} {then}", css, text, seconds=seconds)
        except AssertionError:
            shown = self.ask(f"const [css, text] = given; {FIND} {WHERE}", css, text)
            why = f"it lies below {shown['over']}" if shown and shown["over"] else "it is not there"
            there = self.ask(
                "const text = null, [css] = given;" + FIND + "return found.map((one) => (one.ariaLabel ?? "
                "one.innerText ?? '').slice(0, 60)).slice(0, 20)",
                css,
            )
            raise AssertionError(f"{css} {text or ''}: {why}; there are {there}") from None

    def _mouse(self, kind: str, point: Point, **others: Any) -> None:
        self.call("Input.dispatchMouseEvent", type=kind, x=point.x, y=point.y, **others)

    def _heard(self, event: str, told: dict[str, Any]) -> None:
        if event == "Page.javascriptDialogOpening":
            # "Leave this page?" would stop everything, and no test is about it.
            self._wire.later("Page.handleJavaScriptDialog", {"accept": True}, self._session)
        elif event == "Input.dragIntercepted":
            self._dragged = told["data"]
            self._dragging.set()
        else:
            self._records.take(event, told)
