"""Keys as a keyboard gives them: what DevTools has to be told about each."""

from __future__ import annotations

from typing import Any

MODIFIERS = {"Alt": 1, "Control": 2, "Meta": 4, "Shift": 8}
NAMED = {
    # name: (code of Windows, text)
    "Enter": (13, "\r"),
    "Tab": (9, ""),
    "Escape": (27, ""),
    "Space": (32, " "),
    "Backspace": (8, ""),
    "Delete": (46, ""),
    "ArrowLeft": (37, ""),
    "ArrowUp": (38, ""),
    "ArrowRight": (39, ""),
    "ArrowDown": (40, ""),
    "Home": (36, ""),
    "End": (35, ""),
    "PageUp": (33, ""),
    "PageDown": (34, ""),
    "F2": (113, ""),
    "ContextMenu": (93, ""),
}


def pressed(keys: str) -> list[dict[str, Any]]:
    """The events of one press, such as "Enter", "a" or "Control+Shift+ArrowLeft": down, then up."""
    *held, name = keys.split("+") if keys != "+" else ["+"]
    modifiers = sum(MODIFIERS[each] for each in held)
    if name in NAMED:
        number, text = NAMED[name]
        key, code = (" ", "Space") if name == "Space" else (name, name)
    else:
        if len(name) != 1:
            raise ValueError(f"There is no key {name}.")
        number, text, key = ord(name.upper()), name, name
        code = f"Key{name.upper()}" if name.isalpha() else f"Digit{name}" if name.isdigit() else ""
    if modifiers & ~MODIFIERS["Shift"]:
        text = ""  # a command, not a letter
    event = {"modifiers": modifiers, "key": key, "code": code, "windowsVirtualKeyCode": number}
    down = {**event, "type": "keyDown" if text else "rawKeyDown", **({"text": text} if text else {})}
    if key == "a" and modifiers == MODIFIERS["Control"]:
        down["commands"] = ["selectAll"]  # the platform's part of it, which no event alone does
    return [down, {**event, "type": "keyUp"}]
