"""`comfy_api.latest.ui`: what a node shows in the interface."""

from __future__ import annotations

from typing import Any

from .node_api import FolderType


class SavedResult(dict):
    """A file below one of ComfyUI's folders."""

    def __init__(self, filename: str, subfolder: str, type: FolderType):
        super().__init__(filename=filename, subfolder=subfolder, type=type.value)

    @property
    def filename(self) -> str:
        return self["filename"]

    @property
    def subfolder(self) -> str:
        return self["subfolder"]

    @property
    def type(self) -> FolderType:
        return FolderType(self["type"])


class PreviewVideo:
    """Clips playing on the node."""

    def __init__(self, values: list[Any], **kwargs: Any):
        self.values = values

    def as_dict(self) -> dict[str, Any]:
        return {"images": self.values, "animated": (True,)}


class PreviewText:
    """Words on the node."""

    def __init__(self, value: str, **kwargs: Any):
        self.value = value

    def as_dict(self) -> dict[str, Any]:
        return {"text": (self.value,)}
