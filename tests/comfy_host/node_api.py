# ruff: noqa: N802 - ComfyUI's names
"""`comfy_api.latest.io` as a V3 node pack sees it: types, inputs, outputs, schema, nodes."""

from __future__ import annotations

import types
from collections import Counter
from dataclasses import dataclass, field
from enum import Enum
from inspect import Parameter, Signature
from typing import Any, ClassVar


def _words(name: str, **words: str) -> type[Enum]:
    return Enum(name, words, type=str, module=__name__)


FolderType = _words("FolderType", input="input", output="output", temp="temp")
UploadType = _words(
    "UploadType", image="image_upload", audio="audio_upload", video="video_upload", model="file_upload"
)
NumberDisplay = _words("NumberDisplay", number="number", slider="slider", gradient_slider="gradientslider")
ControlAfterGenerate = _words(
    "ControlAfterGenerate", **{word: word for word in ("fixed", "increment", "decrement", "randomize")}
)
Hidden = _words(
    "Hidden",
    **{
        word: word.upper()
        for word in (
            "unique_id",
            "prompt",
            "extra_pnginfo",
            "dynprompt",
            "auth_token_comfy_org",
            "api_key_comfy_org",
            "comfy_usage_source",
        )
    },
)


class HiddenHolder(types.SimpleNamespace):
    """The hidden inputs of one execution; one that the schema did not ask for is None."""

    def __getattr__(self, name: str) -> None:
        return None


_FRONT = {"display_name": None, "optional": False, "tooltip": None, "lazy": None}
_BACK = {"extra_dict": None, "raw_link": None, "advanced": None}
_WIDGET = {"socketless": None, "force_input": None, **_BACK}
_JSON = {
    "raw_link": "rawLink",
    "force_input": "forceInput",
    "dynamic_prompts": "dynamicPrompts",
    "display_mode": "display",
}
REQUIRED = Parameter.empty


class Input:
    """One input of a node. Each kind has its `parameters`, in the order of the real class.

    An unknown keyword is a TypeError, as it is there; `inspect.signature` shows the parameters.
    """

    io_type = "*"
    parameters: ClassVar[dict[str, Any]] = {**_FRONT, **_BACK}

    def __init_subclass__(cls, **rest: Any) -> None:
        super().__init_subclass__(**rest)
        given = {"self": REQUIRED, "id": REQUIRED, **cls.parameters}
        signature = Signature(
            [Parameter(name, Parameter.POSITIONAL_OR_KEYWORD, default=value) for name, value in given.items()]
        )

        def init(*args: Any, **keywords: Any) -> None:
            bound = signature.bind(*args, **keywords)
            bound.apply_defaults()
            self = bound.arguments.pop("self")
            vars(self).update(bound.arguments)

        init.__signature__ = signature
        cls.__init__ = init

    def as_dict(self) -> dict[str, Any]:
        own = {_JSON.get(name, name): getattr(self, name) for name in self.parameters if name != "extra_dict"}
        return _known({**(self.extra_dict or {}), **_known(own)})


class _ComboInput(Input):
    parameters: ClassVar[dict[str, Any]] = {
        "options": None,
        **_FRONT,
        "default": None,
        "control_after_generate": None,
        "upload": None,
        "image_folder": None,
        "remote": None,
        "socketless": None,
        **_BACK,
    }

    def as_dict(self) -> dict[str, Any]:
        told = {"multiselect": False, **super().as_dict()}
        if isinstance(self.options, type) and issubclass(self.options, Enum):
            told["options"] = [choice.value for choice in self.options]
        for name in ("default", "image_folder"):
            if isinstance(told.get(name), Enum):
                told[name] = told[name].value
        upload = told.pop("upload", None)
        return told if upload is None else {**told, upload.value: True}


class _DynamicComboInput(Input):
    parameters: ClassVar[dict[str, Any]] = {"options": REQUIRED, **_FRONT, "extra_dict": None}

    def as_dict(self) -> dict[str, Any]:
        options = [{"key": option.key, "inputs": _declared(option.inputs)} for option in self.options]
        return {**super().as_dict(), "options": options}


class _AutogrowInput(Input):
    parameters: ClassVar[dict[str, Any]] = {"template": REQUIRED, **_FRONT, "extra_dict": None}

    def as_dict(self) -> dict[str, Any]:
        return {**super().as_dict(), "template": self.template.as_dict()}


class _TemplatePrefix:
    def __init__(self, input, prefix, min=1, max=10):
        self.input, self.prefix, self.min, self.max = input, prefix, min, max

    def as_dict(self) -> dict[str, Any]:
        declared = _declared([self.input])
        return {"input": declared, "prefix": self.prefix, "min": self.min, "max": self.max}


class Output:
    io_type = "*"

    def __init__(self, id=None, display_name=None, tooltip=None, is_output_list=False):
        self.id = id
        self.display_name = display_name or id
        self.tooltip = tooltip
        self.is_output_list = is_output_list


class _ComboOutput(Output):
    def __init__(self, id=None, display_name=None, options=None, tooltip=None, is_output_list=False):
        super().__init__(id, display_name, tooltip, is_output_list)
        self.options = options or []


class ComfyTypeIO:
    Type = Any


def _kind(
    io_type: str, parent: type[Input] = Input, output: type[Output] = Output, **parameters: Any
) -> type[ComfyTypeIO]:
    body = {"io_type": io_type, **({"parameters": {**_FRONT, **parameters}} if parameters else {})}
    return type(
        io_type,
        (ComfyTypeIO,),
        {
            "io_type": io_type,
            "Input": type("Input", (parent,), body),
            "Output": type("Output", (output,), {"io_type": io_type}),
        },
    )


_RANGE = {"default": None, "min": None, "max": None, "step": None}
Boolean = _kind("BOOLEAN", default=None, label_on=None, label_off=None, **_WIDGET)
Int = _kind("INT", **_RANGE, control_after_generate=None, display_mode=None, **_WIDGET)
Float = _kind("FLOAT", **_RANGE, round=None, display_mode=None, gradient_stops=None, **_WIDGET)
String = _kind("STRING", multiline=False, placeholder=None, default=None, dynamic_prompts=None, **_WIDGET)
Combo = _kind("COMBO", _ComboInput, _ComboOutput)
DynamicCombo = _kind("COMFY_DYNAMICCOMBO_V3", _DynamicComboInput)
DynamicCombo.Option = type(
    "Option",
    (),
    {"__init__": lambda self, key, inputs: vars(self).update(key=key, inputs=inputs)},
)
Autogrow = _kind("COMFY_AUTOGROW_V3", _AutogrowInput)
Autogrow.TemplatePrefix = _TemplatePrefix
Image, Mask, Video, Audio = (_kind(name) for name in ("IMAGE", "MASK", "VIDEO", "AUDIO"))
AnyType = _kind("*")


def Custom(io_type: str) -> type[ComfyTypeIO]:
    return _kind(io_type)


def _known(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _declared(inputs: list[Input]) -> dict[str, dict[str, Any]]:
    declared: dict[str, dict[str, Any]] = {"required": {}}
    for each in inputs:
        told = each.as_dict()
        optional = told.pop("optional")
        declared.setdefault("optional" if optional else "required", {})[each.id] = (each.io_type, told)
    return declared


@dataclass
class Schema:
    """What a node is; an unknown keyword is a TypeError, as in the real one."""

    node_id: str
    display_name: str | None = None
    category: str = "sd"
    inputs: list[Input] = field(default_factory=list)
    outputs: list[Output] = field(default_factory=list)
    hidden: list[Hidden] = field(default_factory=list)
    description: str = ""
    search_aliases: list[str] = field(default_factory=list)
    is_input_list: bool = False
    is_output_node: bool = False
    is_deprecated: bool = False
    is_experimental: bool = False
    is_dev_only: bool = False
    is_api_node: bool = False
    price_badge: Any = None
    not_idempotent: bool = False
    enable_expand: bool = False
    accept_all_inputs: bool = False
    essentials_category: str | None = None
    has_intermediate_output: bool = False

    def validate(self) -> None:
        for kind, members in (("Input", self.inputs), ("Output", self.outputs)):
            twice = [name for name, count in Counter(one.id for one in members).items() if count > 1]
            if twice:
                raise ValueError(f"{kind} ids must be unique, but {twice} are not.")

    def finalize(self) -> None:
        asked = [Hidden.prompt, Hidden.extra_pnginfo] if self.is_output_node else []
        if self.is_api_node:
            asked = [Hidden.auth_token_comfy_org, Hidden.api_key_comfy_org, Hidden.comfy_usage_source, *asked]
        self.hidden = [*self.hidden, *(one for one in asked if one not in self.hidden)]
        for index, output in enumerate(self.outputs):
            if output.id is None:
                output.id = f"_{index}_{output.io_type}_"

    def get_v1_info(self, cls: type[ComfyNode]) -> dict[str, Any]:
        """The node as /object_info tells it."""
        declared = _declared(self.inputs)
        if self.hidden:
            declared["hidden"] = {one.name: (one.value,) for one in self.hidden}
        return {
            "input": declared,
            "input_order": {category: list(inputs) for category, inputs in declared.items()},
            "is_input_list": self.is_input_list,
            "output": [output.io_type for output in self.outputs],
            "output_is_list": [output.is_output_list for output in self.outputs],
            "output_name": [output.display_name or output.io_type for output in self.outputs],
            "output_tooltips": [output.tooltip or None for output in self.outputs],
            "output_matchtypes": None,
            "name": self.node_id,
            "display_name": self.display_name,
            "description": self.description,
            "python_module": cls.RELATIVE_PYTHON_MODULE,
            "category": self.category,
            "output_node": self.is_output_node,
            "deprecated": self.is_deprecated,
            "experimental": self.is_experimental,
            "dev_only": self.is_dev_only,
            "api_node": self.is_api_node,
            "price_badge": None,
            "search_aliases": self.search_aliases or None,
            "essentials_category": self.essentials_category,
            "has_intermediate_output": self.has_intermediate_output,
        }


class NodeOutput:
    """What a node gives: values in order of its outputs, and what the interface shows."""

    def __init__(self, *args: Any, ui: Any = None, expand: Any = None, block_execution: str | None = None):
        self.args = args
        self.ui = ui
        self.expand = expand
        self.block_execution = block_execution

    @property
    def result(self) -> tuple[Any, ...] | None:
        return self.args or None


class ComfyNode:
    """The parent of V3 nodes. Each execution runs on a locked clone that cannot be written to."""

    RELATIVE_PYTHON_MODULE: str | None = None
    SCHEMA: Schema | None = None
    OUTPUT_NODE: bool | None = None
    """Set by GET_SCHEMA; the older kind of nodes has it as an attribute, and ComfyUI looks at nothing else."""
    hidden: HiddenHolder | None = None

    @classmethod
    def define_schema(cls) -> Schema:
        raise NotImplementedError

    @classmethod
    def execute(cls, **inputs: Any) -> NodeOutput:
        raise NotImplementedError

    @classmethod
    def validate_inputs(cls, **inputs: Any) -> bool | str:
        raise NotImplementedError

    @classmethod
    def fingerprint_inputs(cls, **inputs: Any) -> Any:
        raise NotImplementedError

    @classmethod
    def overrides(cls, method: str) -> bool:
        return getattr(cls, method).__func__ is not getattr(ComfyNode, method).__func__

    @classmethod
    def FINALIZE_SCHEMA(cls) -> Schema:
        schema = cls.define_schema()
        schema.finalize()
        return schema

    @classmethod
    def GET_SCHEMA(cls) -> Schema:
        for method in ("define_schema", "execute"):
            if not cls.overrides(method):
                raise TypeError(f"No {method} function was defined for node class {cls.__name__}.")
        schema = cls.FINALIZE_SCHEMA()
        schema.validate()
        # On a locked clone this raises, there as here: inside execute, read cls.SCHEMA.
        cls.SCHEMA = schema
        cls.OUTPUT_NODE = schema.is_output_node
        return schema

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, dict[str, Any]]:
        return cls.FINALIZE_SCHEMA().get_v1_info(cls)["input"]

    @classmethod
    def GET_NODE_INFO_V1(cls) -> dict[str, Any]:
        return cls.GET_SCHEMA().get_v1_info(cls)

    @classmethod
    def locked(cls, hidden: HiddenHolder) -> type[ComfyNode]:
        class Locked(type(cls)):
            def __setattr__(self, name: str, value: Any) -> None:
                where = f"locked class '{self.__name__}'"
                raise AttributeError(f"Cannot modify class attribute '{name}' on {where}")

        return Locked(f"{cls.__name__}Clone", (cls,), {"hidden": hidden})
