"""ComfyUI as a generation needs it: its own thread, progress, interruption, folders, linked outputs."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import shutil
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from comfy_api.latest import ComfyAPI, InputImpl, io, ui

from . import runs
from .generation.clock import Clock
from .generation.credentials import redact
from .generation.errors import GenerationError, Interrupted
from .generation.waiting import later
from .marks import mark
from .shown import Shown

if TYPE_CHECKING:
    from .film import Film
    from .generation.waiting import Report
    from .studio import Studio

T = TypeVar("T")

LIBRARY: Final = "LUMA_RAY_LIBRARY"
"""Environment variable: where clips are kept instead of ComfyUI's output folder."""
LINKED: Final = "_linked"
"""An undeclared input that says which outputs are linked, so that it is part of ComfyUI's cache key."""
_LOOK: Final = 0.25
"""Seconds between two looks at ComfyUI's stop sign."""
_FAREWELL: Final = 0.6
"""Seconds that a stopped thread gets to say what becomes of its job."""
_MOST_THREADS: Final = 64
_slots = threading.BoundedSemaphore(_MOST_THREADS)
_opening = threading.Lock()


class Progress:
    """What a worker thread last said, for the event loop to show."""

    def __init__(self) -> None:
        self._said: tuple[str, float | None, float] = ("", None, 0.0)

    def __call__(self, words: str, fraction: float | None = None) -> None:
        """Called on the worker thread, as often as it likes."""
        self._said = (words, fraction, time.monotonic())

    def now(self) -> tuple[str, float | None]:
        """The words, with the time that went on meanwhile, and the fraction."""
        words, fraction, since = self._said
        return later(words, time.monotonic() - since), fraction


async def run(node: Any, work: Callable[[Clock, Report], T]) -> T:
    """Do *work* on a thread of its own while the event loop stays free for the other nodes of the graph.

    The person's interrupt and a failed sibling set the clock's stop sign; the thread then finishes what must
    not be torn apart (its journal row) and the paid job stays collectable.
    """
    node_id = node.hidden.unique_id
    clock, progress = Clock(), Progress()
    job = _on_own_thread(functools.partial(work, clock, progress), f"ray-{node_id}")
    thread = asyncio.wrap_future(job)
    # A result that nobody waits for any more is looked at, so that asyncio does not complain about it.
    thread.add_done_callback(lambda done: done.cancelled() or done.exception())
    shown: tuple[str, float | None] = ("", None)
    try:
        while not (await asyncio.wait({thread}, timeout=_LOOK))[0] and not _interrupted():
            shown = await _show(node_id, progress, shown)
        if not thread.done():
            clock.stop.set()
            await asyncio.wait({thread}, timeout=_FAREWELL)
    except asyncio.CancelledError:  # another node failed, or was stopped first
        job.add_done_callback(functools.partial(_tell, node_id))
        raise
    finally:
        clock.stop.set()
    if not thread.done():
        say(node_id, "Stopping. What was submitted is kept: queue again to collect it.")
        job.add_done_callback(functools.partial(_tell, node_id))
        raise _interruption()
    error = thread.exception()
    match error:
        case None:
            return thread.result()
        case Interrupted():
            _stopped(node_id, error)
            raise _interruption()
        case GenerationError():
            say(node_id, redact(str(error)))
            # Our sentence alone: the chained traceback would be logged with whatever the library put there.
            raise type(error)(redact(str(error))) from None
        case asyncio.CancelledError():
            # Leaked without anybody having asked for it, this would end ComfyUI's worker thread.
            raise RuntimeError("The generation's thread was cancelled unexpectedly; queue again to continue.")
        case _:
            error.args = tuple(redact(each) if isinstance(each, str) else each for each in error.args)
            raise error


def _tell(node_id: str, job: Future[Any]) -> None:
    """What became of a *job* after its node had ended: on the node, and on the page. On the job's own thread."""
    error = None if job.cancelled() else job.exception()
    # ComfyUI itself may have ended meanwhile: its loop is closed, or its modules are gone.
    with contextlib.suppress(RuntimeError, ImportError):
        match error:
            case Interrupted():
                _stopped(node_id, error)
            case GenerationError():
                say(node_id, redact(str(error)))
            case None if not job.cancelled():
                say(node_id, "Finished all the same. Queue again to use it, at no cost.")


def _stopped(node_id: str, error: Interrupted) -> None:
    """Say what became of a job that was stopped. ComfyUI's page says nothing of an interruption but that it was."""
    from server import PromptServer

    words = redact(str(error))
    say(node_id, words)
    if error.job:
        server = PromptServer.instance
        about = {"node": node_id, "job": error.job, "message": words}
        server.send_sync("luma_ray.stopped", about, server.client_id)


async def film(node: Any, make: Callable[[Studio, Clock, Report], Film]) -> Any:
    """Make a film on its own thread and give the common outputs, decoding only what is linked."""
    wanted = linked(node)
    made: Film | None = None

    occasion, prompt = runs.occasion(node), node.hidden.prompt or {}

    def work(clock: Clock, report: Report) -> tuple[Any, Any, Any, Any]:
        nonlocal made
        there = studio()
        runs.check(there, occasion.run, prompt)
        made = make(there.on(occasion), clock, report)
        place = placed(made.path)  # here: it copies the clip where a library on another disk needs that
        Shown(private_folder()).remember(occasion.shot, place)
        shown = _playing(place)
        frames, last_frame = decoded(made.path, 0 in wanted, 2 in wanted, clock, report)
        return frames, last_frame, sound(made.path, clock) if 4 in wanted else None, shown

    frames, last_frame, audio, shown = await run(node, work)
    assert made is not None  # noqa: S101 - `run` returned, so `make` did
    # Two spaces: the newer renderer reads Markdown, where they are what keeps a line break.
    say(node.hidden.unique_id, "  \n".join(made.lines))
    return io.NodeOutput(
        frames,
        InputImpl.VideoFromFile(str(made.path)),
        last_frame,
        made.generations,
        audio,
        ui=shown,
    )


def decoded(path: Path, all_frames: bool, last: bool, clock: Clock, report: Report) -> tuple[Any, Any]:  # noqa: FBT001
    """The frames of a clip and its last frame, each only if it is wanted."""
    from .media import frames

    if all_frames:
        tensor = frames.decode(
            path,
            stopped=lambda: clock.stopped,
            progress=lambda fraction: report("decoding frames", fraction),
        )
        return tensor, tensor[-1:]
    return None, frames.last_frame(path) if last else None


def sound(path: Path, clock: Clock) -> Any:
    """The sound of a clip as AUDIO."""
    from .media import sound

    return sound.audio(path, stopped=lambda: clock.stopped)


def studio() -> Studio:
    """The studio over ComfyUI's folders, as they are now."""
    with _opening:  # the cache alone would let the first nodes of a graph each make one of their own
        return _studio_at(private_folder(), library_folder())


@functools.lru_cache(maxsize=4)
def _studio_at(private: Path, library: Path) -> Studio:
    from .studio import Studio

    return Studio(private, library)


def private_folder() -> Path:
    """The folder below ComfyUI's user directory that its web server does not serve."""
    import folder_paths

    find = getattr(folder_paths, "get_system_user_directory", None)
    if find is not None:
        return Path(find("luma_ray"))
    return Path(folder_paths.get_user_directory()) / "__luma_ray"


def library_folder() -> Path:
    """Where clips are kept: below ComfyUI's output folder, unless the machine's owner says otherwise."""
    import folder_paths

    return Path(os.environ.get(LIBRARY) or Path(folder_paths.get_output_directory()) / "luma-ray")


def output_folder() -> Path:
    """ComfyUI's output folder."""
    import folder_paths

    return Path(folder_paths.get_output_directory())


def linked(node: Any) -> frozenset[int]:
    """The outputs that are to be decoded; all of them where `mark_linked` did not tell.

    It sees what is queued. Nodes that other nodes put into the graph while it runs, as loops do, it does not see.
    """
    inputs = ((node.hidden.prompt or {}).get(node.hidden.unique_id) or {}).get("inputs", {})
    told = inputs.get(LINKED)
    if not isinstance(told, str) or not all(index.isdecimal() for index in told.split(",") if index):
        return frozenset(
            range(len(node.define_schema().outputs))
        )  # GET_SCHEMA writes to a class that is locked now
    return frozenset(int(index) for index in told.split(",") if index)


def mark_linked(body: dict[str, Any], decoded: Mapping[str, frozenset[int]]) -> dict[str, Any]:
    """Write into a queued prompt which outputs of our nodes are linked to something that is going to run.

    ComfyUI's cache looks only at what goes into a node. With this, linking `frames` later runs the node again,
    which decodes the clip it has; without it, the cache would hand out the frames that were never decoded. Only
    *decoded* outputs (by type of node) are told: linking what is there anyway finds the node in the cache.
    """
    prompt = body.get("prompt")
    if not isinstance(prompt, dict):
        return body
    # A handler that raises is skipped; what is wrong with such a node, ComfyUI's own check says better.
    nodes = {
        str(node_id): node
        for node_id, node in prompt.items()
        if isinstance(node, dict) and isinstance(node.get("inputs"), dict)
    }
    targets = body.get("partial_execution_targets")
    running = runs.executed(nodes, targets if isinstance(targets, list) else None)
    used: dict[str, set[int]] = {}
    for node_id, node in nodes.items():
        if running is not None and node_id not in running:
            continue
        for name, value in node["inputs"].items():
            if name != LINKED and isinstance(value, list) and len(value) == 2 and isinstance(value[1], int):
                used.setdefault(str(value[0]), set()).add(value[1])
    for node_id, node in nodes.items():
        own = decoded.get(str(node.get("class_type")))
        if own is not None:
            # A string: a list of two would be read as a link. What a prompt says of itself is not believed.
            node["inputs"][LINKED] = ",".join(map(str, sorted(own & used.get(node_id, set()))))
    return body


def placed(path: Path) -> dict[str, str]:
    """How ComfyUI's page names the clip. It shows only files below ComfyUI's own folders."""
    for kind, folder in _folders().items():
        if path.resolve().is_relative_to(folder):
            place = path.resolve().relative_to(folder)
            return _named(place.name, place.parent.as_posix() if place.parent.name else "", kind)
    shown = temporary(f"{path.stem}", lambda copy: _link_or_copy(path, copy))
    return _named(shown.name, shown.parent.name, "temp")


def _named(filename: str, subfolder: str, kind: str) -> dict[str, str]:
    return {"filename": filename, "subfolder": subfolder, "type": kind}


def _folders() -> dict[str, Path]:
    import folder_paths

    return {
        "output": Path(folder_paths.get_output_directory()).resolve(),
        "temp": Path(folder_paths.get_temp_directory()).resolve(),
        "input": Path(folder_paths.get_input_directory()).resolve(),
    }


def _playing(place: Mapping[str, str]) -> Any:
    """The clip playing on the node."""
    saved = ui.SavedResult(place["filename"], place["subfolder"], io.FolderType(place["type"]))
    return ui.PreviewVideo([saved])


def previews(prompt: Mapping[str, Any]) -> dict[str, Any]:
    """What our nodes of *prompt* showed when they last ran like this, as ComfyUI's page wants it: by node.

    Where that was forgotten, the clip that the journal has for a node that makes a single one.
    """
    from . import plan

    marks = {
        node_id: mark(prompt, node_id)
        for node_id, node in prompt.items()
        if str(node.get("class_type", "")).startswith("Ray")
    }
    places = Shown(private_folder()).recall(marks.values())
    found = {node_id: places[own] for node_id, own in marks.items() if own in places and _there(places[own])}
    single = {
        node_id: own
        for node_id, own in marks.items()
        if node_id not in found and prompt[node_id]["class_type"] in plan.SINGLE
    }
    if single:
        lifecycle = studio().lifecycle
        made = lifecycle.ledger.made(single.values())
        for node_id, own in single.items():
            path = lifecycle.library.find(made[own]) if own in made else None
            if path is not None:
                found[node_id] = placed(path)
    return {node_id: {"images": [place], "animated": [True]} for node_id, place in found.items()}


def _there(place: Mapping[str, str]) -> bool:
    """Whether the file at *place* is still there, and below the folder that it names."""
    folder = _folders().get(place["type"])
    if folder is None:
        return False
    path = (folder / place["subfolder"] / place["filename"]).resolve()
    return path.is_relative_to(folder) and path.is_file()


def say(node_id: str, words: str) -> None:
    """Show *words* on the node; the last ones stay."""
    from server import PromptServer

    server = PromptServer.instance
    server.send_progress_text(words, node_id, server.client_id)


def put_example_pictures(folder: Path) -> None:
    """Copy the photographs of the example workflows to where Load Image finds them, once."""
    import folder_paths

    target = Path(folder_paths.get_input_directory())
    target.mkdir(parents=True, exist_ok=True)
    for picture in sorted(folder.glob("luma-ray-*.jpg")):
        if not (target / picture.name).exists():
            shutil.copyfile(picture, target / picture.name)


def _on_own_thread(work: Callable[[], T], name: str) -> Future[T]:
    """Start *work* on a daemon thread: ComfyUI can end, and start its next graph, without waiting for it."""
    future: Future[T] = Future()

    def body() -> None:
        with _slots:
            if not future.set_running_or_notify_cancel():
                return
            try:
                result = work()
            except StopIteration as error:
                # asyncio takes none of these, and the node would wait for ever.
                future.set_exception(RuntimeError(f"An iterator ended unexpectedly: {error!r}"))
            except BaseException as error:  # noqa: BLE001 - handed to the waiting node, whatever it is
                future.set_exception(error)
            else:
                future.set_result(result)

    threading.Thread(target=body, name=name, daemon=True).start()
    return future


async def _show(node_id: str, progress: Progress, shown: tuple[str, Any]) -> tuple[str, Any]:
    now = progress.now()
    if now[0] and now[0] != shown[0]:
        say(node_id, redact(now[0]))
    if now[1] is not None and now != shown:
        await ComfyAPI.Execution().set_progress(round(now[1] * 100), 100, node_id)
    return now


def _interrupted() -> bool:
    """Look at the stop sign without taking it away: the other nodes must see it too."""
    import comfy.model_management

    return bool(comfy.model_management.processing_interrupted())


def _interruption() -> BaseException:
    import comfy.model_management

    error: BaseException = comfy.model_management.InterruptProcessingException()
    return error


def temporary(name: str, make: Callable[[Path], object]) -> Path:
    """The video called *name* in ComfyUI's temporary folder; *make* writes it, if it is not there yet."""
    import folder_paths

    folder = Path(folder_paths.get_temp_directory()) / "luma-ray"
    path = folder / f"{name}.mp4"
    if not path.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(f".{threading.get_ident()}.mp4")
        try:
            make(unfinished)
            unfinished.replace(path)
        except PermissionError:
            # Windows replaces no file that is open: another node was faster, and reads it already.
            if not path.is_file():
                raise
        finally:
            unfinished.unlink(missing_ok=True)
    return path


def _link_or_copy(path: Path, copy: Path) -> None:
    try:
        copy.hardlink_to(path)
    except OSError:
        shutil.copyfile(path, copy)
