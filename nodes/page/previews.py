"""The clips that the nodes of a graph had shown before the page was loaded again."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..generation.errors import InvalidInput
from .door import Route

if TYPE_CHECKING:
    from ..studio import Studio


def routes(previews: Callable[[dict[str, Any]], dict[str, Any]]) -> tuple[Route, ...]:
    """Those of previews; *previews* gives what ComfyUI's page shows on a node, by node of a prompt."""

    def shown(_: Studio, body: dict[str, Any]) -> Any:
        prompt = body.get("prompt")
        if not isinstance(prompt, dict) or not all(_is_node(node) for node in prompt.values()):
            raise InvalidInput("prompt is missing.")
        try:
            return previews(prompt)
        except RecursionError:  # nodes in a row of a thousand
            return {}

    # A prompt is larger than anything else that is asked; it changes nothing, and ComfyUI's history tells as much.
    return (Route("POST", "previews", shown, anywhere=True, most_bytes=2_000_000),)


def _is_node(node: Any) -> bool:
    return isinstance(node, dict) and isinstance(node.get("inputs"), dict)
