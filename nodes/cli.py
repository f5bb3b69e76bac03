"""`luma-ray`: the same operations, journal and library from a terminal."""

from __future__ import annotations

import argparse
import getpass
import io
import json
import platform
import shutil
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from . import editing_commands, money, sheet, tables, terminal
from .film import Film, Frames, Settings
from .generation.credentials import redact
from .generation.errors import (
    DownloadFailed,
    GenerationError,
    HostingRequired,
    Interrupted,
    InvalidInput,
    LimitReached,
    MissingCredentials,
    StillRunning,
    SubmissionUncertain,
    UnexpectedReply,
    UnsupportedRequest,
)
from .generation.ray import (
    ASPECT_RATIOS,
    CONCEPTS,
    DURATIONS,
    FRAMES_PER_SECOND,
    LONGEST_FILM,
    MODELS,
    RESOLUTIONS,
)
from .generation.records import Entry
from .generation.request import MiddleFrame
from .generation.selection import AUTO
from .hosting import HOSTS
from .providers import PROVIDERS
from .screenplay import RENDERS, Scene
from .studio import Studio

if TYPE_CHECKING:
    from .generation.request import StillImage

EXIT_CODES: Final = """exit codes:
  0    done
  1    it failed; the message says whether anything was billed
  2    refused before anything was sent or billed
  3    paid, or perhaps paid, and not here yet: `luma-ray collect` brings it
  130  stopped with Ctrl-C; a submitted job is kept and can be collected"""
_REFUSED = (InvalidInput, UnsupportedRequest, MissingCredentials, HostingRequired, LimitReached)
_COLLECTABLE = (StillRunning, DownloadFailed, SubmissionUncertain, UnexpectedReply)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    options = _parser().parse_args(arguments)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # an old Windows console has no middle dot
    try:
        result, words = options.run(options)
    except GenerationError as error:
        return _failed(options, error)
    except KeyboardInterrupt:
        return _failed(options, Interrupted("Stopped. What was submitted is kept and can be collected."))
    print(json.dumps(result, indent=1, default=str) if options.json else words)
    return int(options.exit_code)


def _failed(options: argparse.Namespace, error: GenerationError) -> int:
    words = redact(str(error))
    if options.json:
        print(json.dumps({"error": type(error).__name__, "message": words}, indent=1))
    print(words, file=sys.stderr)
    return _exit_code(error)


def _exit_code(error: GenerationError) -> int:
    if isinstance(error, Interrupted):
        return 130
    if isinstance(error, _REFUSED):
        return 2
    return 3 if isinstance(error, _COLLECTABLE) else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="luma-ray",
        description="Luma Ray 2 and Ray 3.2 clips: make, extend, collect. Without a key, a free local preview.",
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(metavar="command", required=True)

    def command(name: str, run: Callable[..., Any], words: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=words, description=words)
        sub.add_argument("--json", action="store_true", help="the answer as JSON on standard output")
        sub.set_defaults(run=run, exit_code=0)
        return sub

    text = command("text-to-video", _text_to_video, "a clip from a prompt")
    _shared(text)
    image = command("image-to-video", _image_to_video, "a clip that starts on a picture")
    _shared(image)
    image.add_argument("--first-frame", type=Path, required=True, help="picture file")
    keyframes = command("keyframes-to-video", _keyframes_to_video, "a clip from one picture to another")
    _shared(keyframes)
    keyframes.add_argument("--first-frame", type=Path, help="picture file")
    keyframes.add_argument("--last-frame", type=Path, help="picture file")
    keyframes.add_argument(
        "--keyframe",
        nargs=2,
        action="append",
        default=[],
        metavar=("SECONDS", "FILE"),
        help="a picture in between; more than once for several",
    )
    extend = command("extend-video", _extend_video, "make a film longer")
    _shared(extend)
    extend.add_argument(
        "--generation", nargs="+", default=[], help="ids of the film's clips, in order of play"
    )
    extend.add_argument("--video", type=Path, help="or any video file")
    extend.add_argument("--direction", choices=("forward", "backward"), default="forward")
    extend.add_argument(
        "--length", type=int, default=15, help=f"seconds of the whole film, up to {LONGEST_FILM}"
    )
    extend.add_argument(
        "--parts", type=Path, help="text file: one line for each clip that is added, as in a sheet"
    )
    extend.add_argument("--output", choices=("whole film", "new part"), default="whole film")
    scene = command("scene", _scene, "a film of several shots from a scene sheet")
    _shared(scene, prompt="words that every shot's prompt begins with")
    scene.add_argument("sheet", type=Path, help="text file: one line a shot, see Ray Scene in the README")
    scene.add_argument(
        "--keyframe",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="K0, K1 and so on, in order",
    )
    scene.add_argument("--render", choices=list(RENDERS), default="final")
    editing_commands.add(command, _studio, _made)
    resume = command("resume", _resume, "continue a generation from whatever state it is in")
    resume.add_argument("id")
    decision = resume.add_mutually_exclusive_group()
    decision.add_argument(
        "--job", default="", help="an unanswered request became this job: you saw its id at the provider"
    )
    decision.add_argument(
        "--not-created",
        action="store_true",
        help="an unanswered request was not created: you looked at the provider; it may be bought again",
    )
    collect = command(
        "collect", _collect, "bring back paid clips: the ones named, or all that are unfinished"
    )
    collect.add_argument("ids", nargs="*", help="our id (ray-...) or the provider's own")
    collect.add_argument("--provider", default=AUTO, choices=[AUTO, *(p.name for p in PROVIDERS)])
    money.add(command, _studio)
    command("providers", _providers, "what is sold where, and for how much")
    command("doctor", _doctor, "what is configured here, and what would work; never shows a key")
    key = command("key", _key, "save a provider's key in the private key file (asks; empty forgets it)")
    key.add_argument("name", choices=sorted(_names()))
    demo = command("demo", _demo, "text, image, keyframes and extend, offline and free, with a contact sheet")
    demo.add_argument("--out", type=Path, default=Path("demo_output"))
    return parser


def _names() -> set[str]:
    """Everything that can be kept in the key file: keys, and settings that providers and hostings need."""
    return {name for p in PROVIDERS for name in p.needs} | {name for h in HOSTS for name in h.settings}


def _shared(parser: argparse.ArgumentParser, prompt: str | None = None) -> None:
    parser.add_argument("--prompt", default="", help=prompt)
    parser.add_argument("--provider", default=AUTO, choices=[AUTO, *(p.name for p in PROVIDERS)])
    parser.add_argument("--model", default=Settings.model, choices=MODELS)
    parser.add_argument("--aspect-ratio", default="auto", choices=["auto", *ASPECT_RATIOS])
    parser.add_argument("--resolution", default=Settings.resolution, choices=RESOLUTIONS)
    parser.add_argument("--duration", type=int, default=Settings.duration, choices=DURATIONS, help="seconds")
    parser.add_argument("--loop", action="store_true")
    parser.add_argument("--take", type=int, default=1, help="a new take is a new purchase")
    parser.add_argument("--concept", action="append", default=[], choices=CONCEPTS, metavar="CONCEPT")
    parser.add_argument(
        "--enhance-prompt", action="store_true", help="the provider rewrites the prompt, where it can"
    )
    parser.add_argument("--out", type=Path, help="copy the film to this file")


def _settings(options: argparse.Namespace) -> Settings:
    return Settings(
        prompt=options.prompt,
        provider=options.provider,
        model=options.model,
        aspect_ratio=options.aspect_ratio,
        resolution=options.resolution,
        duration=options.duration,
        loop=options.loop,
        take=options.take,
        concepts=tuple(options.concept),
        enhance_prompt=options.enhance_prompt,
    )


def _studio() -> Studio:
    return Studio(*terminal.folders())


def _text_to_video(options: argparse.Namespace) -> tuple[Any, str]:
    settings = _settings(options)
    return _made(options, lambda clock, report: _studio().text_to_video(settings, clock=clock, report=report))


def _image_to_video(options: argparse.Namespace) -> tuple[Any, str]:
    settings, first = _settings(options), _still(options.first_frame)
    return _made(
        options, lambda clock, report: _studio().image_to_video(settings, first, clock=clock, report=report)
    )


def _keyframes_to_video(options: argparse.Namespace) -> tuple[Any, str]:
    settings = _settings(options)
    frames = Frames(
        first=_still(options.first_frame) if options.first_frame else None,
        last=_still(options.last_frame) if options.last_frame else None,
        middle=tuple(
            sorted((_middle(*keyframe) for keyframe in options.keyframe), key=lambda frame: frame.index)
        ),
    )
    return _made(
        options,
        lambda clock, report: _studio().keyframes_to_video(settings, frames, clock=clock, report=report),
    )


def _middle(seconds: str, path: str) -> MiddleFrame:
    try:
        return MiddleFrame(round(float(seconds) * FRAMES_PER_SECOND), _still(Path(path)))
    except (ValueError, OverflowError):
        raise InvalidInput(f"--keyframe {seconds}: seconds are needed, such as 2.5.") from None


def _extend_video(options: argparse.Namespace) -> tuple[Any, str]:
    settings = _settings(options)
    return _made(
        options,
        lambda clock, report: _studio().extend_video(
            settings,
            generations=tuple(options.generation),
            video=options.video,
            direction=options.direction,
            length=options.length,
            part=options.output,
            lines=sheet.read(_text(options.parts)) if options.parts else (),
            clock=clock,
            report=report,
        ),
    )


def _scene(options: argparse.Namespace) -> tuple[Any, str]:
    settings = _settings(options)
    scene = Scene(
        lines=sheet.read(_text(options.sheet)),
        keyframes={number: _still(path) for number, path in enumerate(options.keyframe)},
        settings=settings,
        render=options.render,
    )
    return _made(options, lambda clock, report: _studio().scene(scene, clock=clock, report=report))


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError):
        raise InvalidInput(f"{path} cannot be read as text. Nothing was billed.") from None


def _made(options: argparse.Namespace, work: Callable[..., Film]) -> tuple[Any, str]:
    film = terminal.run(work)
    path = film.path
    if getattr(options, "out", None):
        try:
            options.out.parent.mkdir(parents=True, exist_ok=True)
            path = Path(shutil.copyfile(film.path, options.out))
        except OSError as error:
            raise GenerationError(
                f"The film is finished, and is kept at {film.path}. It could not be copied to {options.out} "
                f"({error.strerror or type(error).__name__})."
            ) from None
    result = {
        "path": str(path),
        "generations": list(film.generations),
        "summary": film.summary,
        "notes": list(film.notes),
    }
    return result, "\n".join([str(path), film.summary, *film.notes])


def _resume(options: argparse.Namespace) -> tuple[Any, str]:
    studio = _studio()
    if options.not_created:
        entry = studio.lifecycle.not_created(options.id)
        return _row(entry), f"{entry.id}: recorded as not created. Queueing it again will buy it."
    if options.job:
        terminal.run(lambda clock, report: studio.lifecycle.found(options.id, options.job, clock=clock))  # noqa: ARG005
    return _made(options, lambda clock, report: studio.collect(options.id, clock=clock, report=report))


def _collect(options: argparse.Namespace) -> tuple[Any, str]:
    studio = _studio()
    unfinished = studio.lifecycle.journal.entries(("submitted", "submitting", "uncertain"))
    ids = options.ids or [entry.id for entry in unfinished if not entry.local]
    collected, troubles = [], []
    for wanted in ids:
        try:
            film = terminal.run(partial(studio.collect, wanted, options.provider), wanted)
        except Interrupted:
            raise
        except GenerationError as error:
            troubles.append(
                {"id": redact(wanted), "error": type(error).__name__, "message": redact(str(error))}
            )
            last = error
            options.exit_code = _exit_code(error)  # of the last one, also where others were collected
        else:
            collected.append({"id": film.generations[0], "path": str(film.path), "summary": film.summary})
    if troubles and not options.json:
        print("\n".join(f"{trouble['id']}: {trouble['message']}" for trouble in troubles), file=sys.stderr)
    if troubles and not collected:
        raise last
    words = "\n".join(f"{clip['path']}\n{clip['summary']}" for clip in collected) or "Nothing to collect."
    return {"collected": collected, "failed": troubles}, words


def _row(entry: Entry) -> dict[str, Any]:
    return {
        "id": entry.id,
        "state": entry.state,
        "provider": entry.provider,
        "model": entry.model,
        "operation": entry.operation,
        "take": entry.take,
        "prompt": entry.request.get("prompt", ""),
        "job": entry.job.id if entry.job else None,
        "estimate_usd": entry.estimate_usd,
        "billed_usd": entry.billed_usd,
        "clip": entry.clip,
        "seconds": entry.seconds,
        "note": entry.note,
        "created_at": entry.created_at,
        "completed_at": entry.completed_at,
    }


def _providers(options: argparse.Namespace) -> tuple[Any, str]:  # noqa: ARG001
    rows = tables.matrix(PROVIDERS)
    sources = {
        provider.name: [
            f"{s.where} ({s.day}{', not verified' if s.unverified else ''})"
            for s in dict.fromkeys(offer.price_source for offer in provider.offers if offer.price_source)
        ]
        for provider in PROVIDERS
    }
    words = tables.text(tables.HEADER, rows) + "\n\nprices from:\n"
    words += "\n".join(f"  {name}: {'; '.join(where)}" for name, where in sources.items() if where)
    return {"offers": [dict(zip(tables.HEADER, row, strict=True)) for row in rows], "prices": sources}, words


def _doctor(options: argparse.Namespace) -> tuple[Any, str]:  # noqa: ARG001
    studio = _studio()
    found: dict[str, Any] = {
        "python": platform.python_version(),
        "private folder": str(studio.private),
        "library": str(studio.library.folder),
        "journal": f"works, {len(studio.lifecycle.journal.entries())} generations",
        "providers": {},
        "hosting": {},
    }
    for provider in PROVIDERS:
        if provider.local:
            found["providers"][provider.name] = "works: free, on this machine"
            continue
        states = []
        for name in provider.needs:
            secret = studio.credentials.get(name) if name in provider.secrets else None
            shown = f" ({secret.hint})" if secret is not None else ""
            states.append(f"{name} {studio.credentials.source(name)}{shown}")
        works = studio.lifecycle.sellers.configured(provider)
        found["providers"][provider.name] = (
            f"{'configured' if works else 'not configured'}: {', '.join(states)}"
            + (f"; experimental: {provider.experimental}" if provider.experimental else "")
        )
    for hosting in studio.lifecycle.hosts:
        ready = hosting.ready(studio.credentials)
        found["hosting"][hosting.name] = "configured" if ready else f"not configured: {hosting.how}"
    paid = [p.title for p in PROVIDERS if not p.local and studio.lifecycle.sellers.configured(p)]
    found["auto means"] = f"the cheapest of {', '.join(paid)}" if paid else "the free local preview"
    lines = []
    for name, value in found.items():
        if isinstance(value, dict):
            lines += [f"{name}:", *(f"  {inner}: {words}" for inner, words in value.items())]
        else:
            lines.append(f"{name}: {value}")
    return found, "\n".join(lines)


def _key(options: argparse.Namespace) -> tuple[Any, str]:
    studio = _studio()
    if sys.stdin.isatty():
        try:
            value = getpass.getpass(f"{options.name} (not shown, empty forgets it): ")
        except EOFError:
            raise InvalidInput("No key was given; nothing was changed.") from None
    else:
        value = sys.stdin.readline()
    try:
        studio.credentials.save(options.name, value)
    except OSError as error:
        raise InvalidInput(f"The key could not be saved in {studio.credentials.path}: {error}") from None
    state = studio.credentials.source(options.name)
    return {"name": options.name, "state": state}, f"{options.name}: {state}"


def _demo(options: argparse.Namespace) -> tuple[Any, str]:
    from .demo import demo

    return demo(options.out)


def _still(path: Path) -> StillImage:
    from .media import images

    return images.read(path)


if __name__ == "__main__":
    sys.exit(main())
