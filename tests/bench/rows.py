"""A journal that has been used for a while."""

from __future__ import annotations

import random
from typing import Any

STATES = ("completed",) * 46 + ("failed",) * 3 + ("cancelled",)
MONTHS = 90 * 24 * 3600.0
"""Seconds over which the purchases are spread."""


def fill(journal: Any, count: int, *, provider: str = "", ran_seconds: float = 0.0) -> list[str]:
    """Put *count* finished generations of 720p, 5 s into it; their fingerprints.

    With *provider* all were bought there, and took *ran_seconds*.
    """
    from luma_ray.nodes.generation.owner import OWN
    from luma_ray.nodes.generation.records import GENERATIONS
    from luma_ray.nodes.generation.request import GenerationRequest, Operation

    dice = random.Random(7)  # noqa: S311 - times, not secrets
    now = journal.now()
    rows: list[dict[str, Any]] = []
    for number in range(count):
        request = GenerationRequest(
            operation=Operation.TEXT_TO_VIDEO, model="ray-flash-2", prompt=f"an earlier shot, {number}"
        )
        state, at = dice.choice(STATES), now - dice.uniform(0, MONTHS)
        done = state == "completed"
        rows.append(
            {
                "id": f"ray-before-{number:06}",
                "state": state,
                "provider": provider or dice.choice(("luma", "fal", "wavespeed", "replicate")),
                "model": request.model,
                "operation": request.operation.value,
                "fingerprint": request.fingerprint,
                "take": 1,
                "local": False,
                "request": request.describe(),
                "job_id": f"job-{number}",
                "job": {
                    "id": f"job-{number}",
                    "details": {"link": f"https://provider.example/jobs/{number}"},
                },
                "estimate_usd": "0.24",
                "billed_usd": "0.24" if done else None,
                "note": "" if done else "The model gave up.",
                "clip": f"2026-11/ray-before-{number:06}.mp4" if done else None,
                "frames": 121 if done else None,
                "width": 1280 if done else None,
                "height": 720 if done else None,
                "seconds": 121 / 24 if done else None,
                "owner": OWN,
                "reference": None,
                "ran_seconds": (ran_seconds or dice.uniform(30, 120)) if done else None,
                "done_at": at + 60,
                "run": f"run-{number // 4}",
                "workflow": f"film-{number // 200}",
                "shot": f"shot-{number}",
                "counts": 240_000 if done else 0,
                "request_id": None,
                "created_at": at,
                "submitted_at": at + 1,
                "completed_at": at + 70 if done else None,
                "updated_at": at + 70,
            }
        )
    with journal.database.transaction(writes=True) as connection:
        connection.execute(GENERATIONS.insert(), rows)
    return [row["fingerprint"] for row in rows if row["state"] == "completed"]
