"""`folder_paths` over one folder: input, output, temp and user below it."""

from __future__ import annotations

import mimetypes
import os
import re
import time
from pathlib import Path
from types import ModuleType


class Folders:
    """Where ComfyUI keeps its files; every public method is a function of the module `folder_paths`."""

    def __init__(self, root: Path):
        self._root = root
        for name in ("input", "output", "temp", "user"):
            (root / name).mkdir(parents=True, exist_ok=True)

    def module(self) -> ModuleType:
        module = ModuleType("folder_paths")
        module.base_path = str(self._root)
        for name in dir(self):
            if name.startswith(("get_", "exists_", "filter_", "is_")):
                setattr(module, name, getattr(self, name))
        return module

    def get_input_directory(self) -> str:
        return str(self._root / "input")

    def get_output_directory(self) -> str:
        return str(self._root / "output")

    def get_temp_directory(self) -> str:
        return str(self._root / "temp")

    def get_user_directory(self) -> str:
        return str(self._root / "user")

    def get_system_user_directory(self, name: str = "system") -> str:
        if not name.replace("_", "").isalnum() or name.startswith("_"):
            raise ValueError(f"Invalid system user name: '{name}'")
        return str(self._root / "user" / f"__{name}")

    def get_directory_by_type(self, type_name: str) -> str | None:
        return str(self._root / type_name) if type_name in ("input", "output", "temp") else None

    def is_within_directory(self, directory: str, target: str) -> bool:
        return Path(os.path.realpath(target)).is_relative_to(os.path.realpath(directory))

    def get_annotated_filepath(self, name: str, default_dir: str | None = None) -> str:
        """The path of `name.png` or `name.png [output]`. Raises ValueError where it leaves its folder."""
        name, folder = self._annotated(name, default_dir)
        path = str((Path(folder) / name).absolute())
        if not self.is_within_directory(folder, path):
            raise ValueError(f"Invalid file path: {name!r}")
        return path

    def exists_annotated_filepath(self, name: str) -> bool:
        name, folder = self._annotated(name, None)
        path = Path(folder) / name
        return self.is_within_directory(folder, str(path)) and path.exists()

    def _annotated(self, name: str, default: str | None) -> tuple[str, str]:
        marked = re.fullmatch(r"(.*?)\s*\[(input|output|temp)\]", name)
        if marked:
            return marked[1], str(self._root / marked[2])
        return name, default or self.get_input_directory()

    def filter_files_content_types(self, files: list[str], content_types: list[str]) -> list[str]:
        def kind(file: str) -> str:
            return (mimetypes.guess_type(file, strict=False)[0] or "").split("/")[0]

        return [file for file in files if kind(file) in content_types]

    def get_save_image_path(
        self, filename_prefix: str, output_dir: str, image_width: int = 0, image_height: int = 0
    ) -> tuple[str, str, int, str, str]:
        """Folder, name, next free number, folder below *output_dir*, and the prefix with its %words% filled in."""
        words = {"%width%": str(image_width), "%height%": str(image_height)}
        for word, code in zip(("year", "month", "day", "hour", "minute", "second"), "YmdHMS", strict=True):
            words[f"%{word}%"] = time.strftime(f"%{code}")
        for word, value in words.items():
            filename_prefix = filename_prefix.replace(word, value)
        place = Path(os.path.normpath(filename_prefix))
        subfolder = "" if place.parent == Path() else str(place.parent)
        folder = Path(output_dir) / subfolder
        if not self.is_within_directory(output_dir, str(folder)):
            raise ValueError("Saving image outside the output folder is not allowed.")
        folder.mkdir(parents=True, exist_ok=True)
        numbers = [
            int(found[1])
            for found in (re.match(re.escape(place.name) + r"_(\d+)", file.name) for file in folder.iterdir())
            if found
        ]
        return str(folder), place.name, max(numbers, default=0) + 1, subfolder, filename_prefix
