"""Ways from a file to frames, each as its users write it; prepared here, measured by `trial`."""

from __future__ import annotations

import importlib
import itertools
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from .trial import Unavailable

Work = Callable[[], Any]


def ours(path: str, **wishes: Any) -> Work:
    """The pack's own."""
    from luma_ray.nodes.media import frames

    _read_once(path)
    if "size" in wishes:
        wishes["size"] = tuple(wishes["size"])
    return lambda: frames.decode(Path(path), **wishes)


def decoding(path: str) -> Work:
    """A floor: every frame decoded with two threads, and thrown away."""
    import av

    _read_once(path)

    def work() -> None:
        with av.open(path) as container:
            stream = container.streams.video[0]
            stream.thread_type = "AUTO"
            stream.codec_context.thread_count = 2
            for _ in container.decode(stream):
                pass

    return work


def writing(shape: list[int]) -> Work:
    """A floor: memory for the frames, written once."""
    import numpy as np

    def work() -> Any:
        frames = np.empty(shape, np.float32)
        frames.fill(0.5)
        return frames

    return work


def pyav(path: str) -> Work:
    """PyAV as its documentation has it: a list of arrays, stacked."""
    import av
    import numpy as np
    import torch

    _read_once(path)

    def work() -> Any:
        with av.open(path) as container:
            arrays = [picture.to_ndarray(format="rgb24") for picture in container.decode(video=0)]
        return torch.from_numpy(np.stack(arrays)).float() / 255

    return work


def opencv(path: str) -> Work:
    """OpenCV as most write it: a list of arrays, stacked."""
    cv2 = opencv_module()
    import numpy as np
    import torch

    _read_once(path)

    def work() -> Any:
        arrays = [cv2.cvtColor(picture, cv2.COLOR_BGR2RGB) for picture in _read_with(cv2, path)]
        return torch.from_numpy(np.stack(arrays)).float() / 255

    return work


def suite(path: str) -> Work:
    """As VideoHelperSuite's Load Video works (read 2026-11-21): OpenCV, each frame as floats, then `fromiter`."""
    cv2 = opencv_module()
    import numpy as np
    import torch

    _read_once(path)

    def floats() -> Iterator[Any]:
        for picture in _read_with(cv2, path):
            values = np.array(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), dtype=np.float32)
            torch.from_numpy(values).div_(255)
            yield values

    def work() -> Any:
        pictures = floats()
        first = next(pictures)
        kind = np.dtype((np.float32, first.shape))
        return torch.from_numpy(np.fromiter(itertools.chain([first], pictures), kind))

    return work


def torchcodec(path: str) -> Work:
    """torchcodec, all frames at once."""
    try:
        decoders = importlib.import_module("torchcodec.decoders")
    except ImportError:
        raise Unavailable("torchcodec is not installed") from None
    except (RuntimeError, OSError) as error:
        raise Unavailable(f"torchcodec cannot load: {_first_words(error)}") from None
    _read_once(path)

    def work() -> Any:
        decoder = decoders.VideoDecoder(path, dimension_order="NHWC", num_ffmpeg_threads=0)
        return decoder[:].float() / 255

    return work


def comfyui(path: str) -> Work:
    """What ComfyUI does for a node that asks a VIDEO for its frames. In ComfyUI's Python."""
    folder = os.environ["COMFYUI_DIR"]
    if not Path(folder, "comfy_api").is_dir():
        raise Unavailable(f"there is no ComfyUI in {folder}")
    sys.path.insert(0, folder)
    sys.argv[1:] = ["--cpu"]
    input_impl = importlib.import_module("comfy_api.latest").InputImpl
    _read_once(path)
    return lambda: input_impl.VideoFromFile(path).get_components().images


def opencv_module() -> Any:
    """`cv2`, where it is installed."""
    try:
        return importlib.import_module("cv2")
    except ImportError:
        raise Unavailable("opencv-python-headless is not installed") from None


def _read_once(path: str) -> None:
    """So that nobody waits for the disk."""
    Path(path).read_bytes()


def _read_with(cv2: Any, path: str) -> Iterator[Any]:
    capture = cv2.VideoCapture(path)
    while True:
        there, picture = capture.read()
        if not there:
            break
        yield picture
    capture.release()


def _first_words(error: BaseException) -> str:
    return str(error.__cause__ or error).strip().partition("\n")[0].rstrip(".:")
