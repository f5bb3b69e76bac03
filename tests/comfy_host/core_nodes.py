"""The core nodes that the example workflows need, with the inputs, order and outputs of ComfyUI 0.33.

Left out: the encoding settings that Save Video has below its codecs.
"""

from __future__ import annotations

import hashlib
import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps, PngImagePlugin

from . import node_api as io
from .ui import PreviewVideo, SavedResult
from .video import VideoCodec, VideoComponents, VideoContainer, VideoFromComponents


class LoadImage(io.ComfyNode):
    """A picture of the input folder."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        import folder_paths

        files = [each.name for each in Path(folder_paths.get_input_directory()).iterdir() if each.is_file()]
        pictures = sorted(folder_paths.filter_files_content_types(files, ["image"]))
        return io.Schema(
            node_id="LoadImage",
            category="image",
            inputs=[io.Combo.Input("image", options=pictures, upload=io.UploadType.image)],
            outputs=[io.Image.Output(), io.Mask.Output()],
        )

    @classmethod
    def validate_inputs(cls, image: str) -> bool | str:
        import folder_paths

        return folder_paths.exists_annotated_filepath(image) or f"Invalid image file: {image}"

    @classmethod
    def fingerprint_inputs(cls, image: str) -> str:
        import folder_paths

        return hashlib.sha256(Path(folder_paths.get_annotated_filepath(image)).read_bytes()).hexdigest()

    @classmethod
    def execute(cls, image: str) -> io.NodeOutput:
        import folder_paths

        with Image.open(folder_paths.get_annotated_filepath(image)) as opened:
            picture = ImageOps.exif_transpose(opened)
            pixels = torch.from_numpy(np.array(picture.convert("RGBA"), dtype=np.float32) / 255.0)[None]
            has_alpha = "A" in picture.getbands()
        return io.NodeOutput(pixels[..., :3], 1.0 - pixels[..., 3] if has_alpha else torch.zeros(1, 64, 64))


class SaveImage(io.ComfyNode):
    """Pictures into the output folder, with the prompt and the workflow in them."""

    folder = io.FolderType.output

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="SaveImage",
            category="image",
            inputs=[io.Image.Input("images"), io.String.Input("filename_prefix", default="ComfyUI")],
            outputs=[io.Image.Output("images")],
            is_output_node=True,
        )

    @classmethod
    def execute(cls, images: Any, filename_prefix: str = "ComfyUI_temp") -> io.NodeOutput:
        saved = []
        for image in images:
            pixels = (255.0 * image.cpu().numpy()).clip(0, 255).astype(np.uint8)
            tags = PngImagePlugin.PngInfo()
            for name, value in _tags(cls.hidden).items():
                tags.add_text(name, json.dumps(value))
            path, result = _place(cls.folder, filename_prefix, "png", image.shape[1], image.shape[0])
            Image.fromarray(pixels).save(path, pnginfo=tags)
            saved.append(result)
        return io.NodeOutput(images, ui={"images": saved})


class PreviewImage(SaveImage):
    """Pictures into the temporary folder."""

    folder = io.FolderType.temp

    @classmethod
    def define_schema(cls) -> io.Schema:
        schema = super().define_schema()
        schema.node_id, schema.inputs = "PreviewImage", schema.inputs[:1]
        return schema


class ImageBatch(io.ComfyNode):
    """Two batches of pictures as one; the second is scaled and cropped to the size of the first."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ImageBatch",
            category="image/batch",
            is_deprecated=True,
            inputs=[io.Image.Input("image1"), io.Image.Input("image2")],
            outputs=[io.Image.Output()],
        )

    @classmethod
    def execute(cls, image1: Any, image2: Any) -> io.NodeOutput:
        (height, width), (have_height, have_width) = image1.shape[1:3], image2.shape[1:3]
        if (height, width) != (have_height, have_width):
            scale = max(height / have_height, width / have_width)
            size = (max(height, round(have_height * scale)), max(width, round(have_width * scale)))
            larger = torch.nn.functional.interpolate(image2.movedim(-1, 1), size=size, mode="bilinear")
            top, left = (size[0] - height) // 2, (size[1] - width) // 2
            image2 = larger[..., top : top + height, left : left + width].movedim(1, -1)
        return io.NodeOutput(torch.cat((image1, image2)))


class CreateVideo(io.ComfyNode):
    """A VIDEO from pictures and sound."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="CreateVideo",
            category="video",
            inputs=[
                io.Image.Input("images"),
                io.Float.Input("fps", default=30.0, min=1.0, max=120.0, step=1.0),
                io.Audio.Input("audio", optional=True),
                io.Int.Input(
                    "bit_depth",
                    default=8,
                    min=8,
                    max=10,
                    step=2,
                    optional=True,
                    display_mode=io.NumberDisplay.number,
                ),
            ],
            outputs=[io.Video.Output()],
        )

    @classmethod
    def execute(cls, images: Any, fps: float, audio: Any = None, bit_depth: int = 8) -> io.NodeOutput:
        components = VideoComponents(images=images, audio=audio, frame_rate=Fraction(fps))
        return io.NodeOutput(VideoFromComponents(components, bit_depth=bit_depth))


class SaveVideo(io.ComfyNode):
    """A VIDEO into the output folder, with the prompt and the workflow in it."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        every = ["auto", "h264", "av1"]
        formats = {"auto": every, "mp4": every, "mkv": every, "webm": ["auto", "av1"]}
        return io.Schema(
            node_id="SaveVideo",
            category="video",
            inputs=[
                io.Video.Input("video"),
                io.String.Input("filename_prefix", default="video/ComfyUI"),
                io.DynamicCombo.Input(
                    "format",
                    options=[
                        io.DynamicCombo.Option(key, [_codec(codecs)]) for key, codecs in formats.items()
                    ],
                ),
                _codec(every, optional=True, extra_dict={"hidden": True}),
            ],
            outputs=[io.Video.Output("video")],
            is_output_node=True,
        )

    @classmethod
    def execute(cls, video: Any, filename_prefix: str, format: Any, codec: Any = None) -> io.NodeOutput:
        container = format["format"]
        codec = format.get("codec") or codec or {"codec": "auto"}
        width, height = video.get_dimensions()
        extension = VideoContainer.get_extension(container)
        path, saved = _place(io.FolderType.output, filename_prefix, extension, width, height)
        video.save_to(
            str(path),
            format=VideoContainer(container),
            codec=VideoCodec(codec["codec"]),
            metadata=_tags(cls.hidden) or None,
        )
        return io.NodeOutput(video, ui=PreviewVideo([saved]))


def _codec(codecs: list[str], **options: Any) -> Any:
    choices = [io.DynamicCombo.Option(codec, []) for codec in codecs]
    return io.DynamicCombo.Input("codec", options=choices, **options)


def _place(
    kind: io.FolderType, prefix: str, extension: str, width: int, height: int
) -> tuple[Path, SavedResult]:
    import folder_paths

    root = folder_paths.get_directory_by_type(kind.value)
    folder, name, counter, subfolder, _ = folder_paths.get_save_image_path(prefix, root, width, height)
    file = f"{name}_{counter:05}_.{extension}"
    return Path(folder) / file, SavedResult(file, subfolder, kind)


def _tags(hidden: Any) -> dict[str, Any]:
    return {**(hidden.extra_pnginfo or {}), **({"prompt": hidden.prompt} if hidden.prompt else {})}


CORE_NODES = [LoadImage, SaveImage, PreviewImage, ImageBatch, CreateVideo, SaveVideo]
