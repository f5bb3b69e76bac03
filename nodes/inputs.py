"""The widgets that several nodes share, built from what the providers offer."""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from comfy_api.latest import io

from .generation.ray import ASPECT_RATIOS, CONCEPTS, DURATIONS, RESOLUTIONS
from .generation.request import AS_THE_SOURCE, Operation
from .generation.selection import AUTO
from .providers import PROVIDERS

if TYPE_CHECKING:
    from .film import Settings

CATEGORY = "video/Luma Ray"
_FIELDS = {field.name for field in dataclasses.fields(io.Schema)}
_ALL_ALIASES = ("luma", "lumalabs", "dream machine", "ray2", "ray 2", "ray-2")
"""What artists type who look for any of these nodes."""
_MODEL_ALIASES = ("ray flash", "ray-flash-2", "ray 3", "ray 3.2")
"""Also what they type who look for one that makes clips."""

Generation = io.Custom("RAY_GENERATION")
"""Journal ids of a film's clips, in order of play: a tuple of strings. Holds no key, no URL, no path."""
Concepts = io.Custom("RAY_CONCEPTS")
"""Camera concepts: a tuple of their keys."""
Keyframes = io.Custom("RAY_KEYFRAMES")
"""Pictures at moments of a clip: a tuple of (frame number at 24 frames a second, IMAGE), in order of time."""


def schema(*, search_aliases: Sequence[str], **fields: Any) -> Any:
    """A node's schema, found by *search_aliases* and ours; what this ComfyUI does not know yet is left out."""
    fields["search_aliases"] = [*_ALL_ALIASES, *search_aliases]
    return io.Schema(**{name: value for name, value in fields.items() if name in _FIELDS})


def widget(kind: Any, id: str, **options: Any) -> Any:
    """An input of *kind* (`io.Int` and so on); options that this ComfyUI does not know yet are left out."""
    known = _options(kind)
    return kind.Input(id, **{name: value for name, value in options.items() if name in known})


@functools.cache
def _options(kind: Any) -> frozenset[str]:
    return frozenset(inspect.signature(kind.Input.__init__).parameters)


def _sold(operation: Operation, attribute: str, order: tuple[Any, ...]) -> list[Any]:
    """What any provider sells in *operation*, in our order: the choices of a widget."""
    offers = [offer for provider in PROVIDERS for offer in provider.offers if offer.operation is operation]
    sold = {value for offer in offers for value in getattr(offer, attribute)}
    return [value for value in order if value in sold]


def generating(*, search_aliases: Sequence[str], **fields: Any) -> Any:
    """The schema of a node that gives a film: the common outputs, and what the host needs to know."""
    return schema(
        search_aliases=[*_MODEL_ALIASES, *search_aliases],
        category=CATEGORY,
        outputs=film_outputs(),
        hidden=[io.Hidden.unique_id, io.Hidden.prompt, io.Hidden.extra_pnginfo],
        has_intermediate_output=True,
        **fields,
    )


def settings(*, duration: str = "5 s", concepts: tuple[str, ...] = (), **widgets: Any) -> Settings:
    """The widgets of `shared` as the operations take them."""
    from .film import Settings

    return Settings(duration=int(duration.removesuffix(" s")), concepts=tuple(concepts or ()), **widgets)


def secret_in(**texts: Any) -> bool | str:
    """True, or what ComfyUI shall say where one of *texts* holds a key; for `validate_inputs`.

    So a graph with a key in it is refused as it is queued: it reaches no history and no saved picture.
    """
    from . import host
    from .generation import tripwire
    from .generation.credentials import Credentials
    from .generation.errors import InvalidInput

    told = {name: text for name, text in texts.items() if isinstance(text, str)}
    try:
        tripwire.check(told, Credentials(host.private_folder()))
    except InvalidInput as error:
        return str(error)
    return True


class Prompted(io.ComfyNode):
    """A node with a prompt, in which no key may stand."""

    @classmethod
    def validate_inputs(cls, prompt: Any = None) -> bool | str:
        """Whether the prompt may be queued. One that comes over a link is looked at when it is there."""
        return secret_in(prompt=prompt)


def prompt(*, required: bool, tooltip: str = "") -> Any:
    """The prompt. Without ComfyUI's {a|b} dice: another wording at each Queue would be another purchase."""
    when = "Required." if required else "Optional when a picture is given."
    return words(
        "prompt",
        tooltip or f"What happens in the shot, 3 to 5000 characters. {when} Ray has no negative prompt.",
    )


def words(id: str, tooltip: str) -> Any:
    """Text of several lines."""
    return widget(io.String, id, multiline=True, default="", dynamic_prompts=False, tooltip=tooltip)


def shared(operation: Operation, *, prompt_required: bool, follows_picture: bool) -> list[Any]:
    """The inputs that every generating node begins with; their order is a public contract."""
    return [
        prompt(required=prompt_required),
        provider(),
        model(operation),
        aspect_ratio(operation, follows_picture=follows_picture),
        resolution(operation),
        duration(operation),
        widget(
            io.Boolean,
            "loop",
            default=False,
            tooltip="The end flows into the beginning. Not together with a last frame.",
        ),
        take(),
    ]


def model(operation: Operation) -> Any:
    """Which of the models that are sold in *operation*."""
    models = list(
        dict.fromkeys(
            offer.model for provider in PROVIDERS for offer in provider.offers if offer.operation is operation
        )
    )
    return widget(
        io.Combo,
        "model",
        options=models,
        default="ray-flash-2",
        tooltip=(
            "ray-flash-2 is faster and costs a third to a half; ray-2 has the finer picture; ray-3.2 is what "
            "Luma's current API serves. Which provider has which is in the README; none is replaced by another."
        ),
    )


def aspect_ratio(operation: Operation, *, follows_picture: bool) -> Any:
    """The ratios that are sold in *operation*."""
    ratios = _sold(operation, "aspect_ratios", ASPECT_RATIOS)
    return widget(
        io.Combo,
        "aspect_ratio",
        options=["auto", *ratios] if follows_picture else ratios,
        default="auto" if follows_picture else "16:9",
        tooltip=(
            "auto: the shape of the first picture. Any other choice crops the pictures to it, in the middle."
            if follows_picture
            else "Width to height of the clip."
        ),
    )


def resolution(operation: Operation) -> Any:
    """The sizes that are sold in *operation*."""
    sizes = _sold(operation, "resolutions", (AS_THE_SOURCE, *RESOLUTIONS))
    if AS_THE_SOURCE in sizes:
        return widget(
            io.Combo,
            "resolution",
            options=sizes,
            default=AS_THE_SOURCE,
            tooltip="auto: the provider decides by the film, as Ray 2 does. Ray 3.2 asks for one of the others.",
        )
    return widget(
        io.Combo,
        "resolution",
        options=sizes,
        default="1080p" if operation is Operation.UPSCALE_VIDEO else "720p",
        tooltip="Size of the shorter side. A 9 s clip as frames needs 2.4 GB at 720p and 5.4 GB at 1080p.",
    )


def duration(operation: Operation) -> Any:
    """The lengths that are sold in *operation*."""
    return widget(
        io.Combo,
        "duration",
        options=[f"{seconds} s" for seconds in _sold(operation, "durations", DURATIONS)],
        default="5 s",
        tooltip="Length of one clip. Which lengths are sold depends on the provider; none is rounded.",
    )


def take() -> Any:
    """Which of several clips of the same settings."""
    return widget(
        io.Int,
        "take",
        default=1,
        min=1,
        max=9999,
        tooltip=(
            "Ray has no seed. The same settings with the same take are the clip you already have, free; "
            "a new take is a new purchase."
        ),
    )


def film_to_change() -> list[Any]:
    """A film from a Ray node or from anywhere: what is made into another one."""
    return [
        Generation.Input("generation", optional=True, tooltip="The film to change, from a Ray node."),
        io.Video.Input(
            "video", optional=True, tooltip="Or any video; sent as it is where that is MP4 with H.264."
        ),
        io.Image.Input("frames", optional=True, tooltip="Or frames, 24 a second."),
    ]


def first_look() -> Any:
    """A first frame that shows how a changed film shall look."""
    return io.Image.Input(
        "first_frame",
        optional=True,
        tooltip="One picture: the film's first frame as you want it. Luma advises to give one.",
    )


def unlooped(operation: Operation) -> list[Any]:
    """The inputs of `shared` without `loop`, for clips that end on a picture."""
    return [
        each for each in shared(operation, prompt_required=True, follows_picture=True) if each.id != "loop"
    ]


def provider() -> Any:
    """Who makes and bills the clip."""
    return widget(
        io.Combo,
        "provider",
        options=[AUTO, *(candidate.name for candidate in PROVIDERS)],
        default=AUTO,
        tooltip=(
            "auto: the cheapest provider with a key on this machine that sells this; without any key the free local "
            "preview. A provider by name never falls back to another." + _experimental()
        ),
    )


def _experimental() -> str:
    """A warning for the providers that nobody could verify."""
    names = [candidate.name for candidate in PROVIDERS if candidate.experimental]
    return f" Experimental, because parts are not documented: {', '.join(names)}." if names else ""


def concepts() -> Any:
    """Where Ray Camera Concepts is linked."""
    return Concepts.Input("concepts", optional=True, tooltip="Camera moves from Ray Camera Concepts.")


def enhance_prompt() -> Any:
    """Where a provider rewrites prompts."""
    return widget(
        io.Boolean,
        "enhance_prompt",
        default=False,
        optional=True,
        tooltip=(
            "The provider rewrites the prompt before it uses it, where it documents that it can: "
            f"{', '.join(sellers('enhances'))}. Others refuse."
        ),
    )


def colour_match(kept: str) -> Any:
    """Whether the clips of a film get the colours of one of them."""
    return widget(
        io.Combo,
        "colour_match",
        options=["auto", "on", "off"],
        default="auto",
        optional=True,
        tooltip=(
            f"Gives every clip the colours of {kept}, by a curve for each channel fitted where the clips meet. auto: "
            "only where a difference can be seen and a curve takes it away, and never at a cut to another scene. "
            "Matched films are encoded anew. Buys nothing."
        ),
    )


def sellers(attribute: str) -> list[str]:
    """Names of the paid providers with an offer that has *attribute*."""
    return [
        candidate.name
        for candidate in PROVIDERS
        if not candidate.local and any(getattr(offer, attribute) for offer in candidate.offers)
    ]


def concept_choices() -> list[str]:
    """The camera concepts, with a first choice that is none."""
    return ["none", *CONCEPTS]


def film_outputs() -> list[Any]:
    """What every generating node gives; their order is a public contract."""
    return [
        io.Image.Output("frames", tooltip="All frames [frames, height, width, 3]; decoded only when linked."),
        io.Video.Output("video", tooltip="The clip as a file, for Save Video; needs no memory."),
        io.Image.Output("last_frame", tooltip="The last frame alone, without decoding the rest into memory."),
        Generation.Output("generation", tooltip="For Ray Extend Video and Ray Frames."),
        io.Audio.Output("audio", tooltip="The sound, as long as the clip; silence where it has none."),
    ]
