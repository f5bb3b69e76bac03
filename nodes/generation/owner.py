"""Which process wrote a row of the journal, and whether it still runs."""

from __future__ import annotations

import os
import secrets
import socket
import sys
from typing import Final

OWN: Final = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
"""This process: machine, number, and a token, since numbers are used again."""


def gone(owner: str) -> bool:
    """Whether *owner*, another process than this one, is known not to run any more. False for other machines."""
    host, pid, _ = owner.rsplit(":", 2)
    own_host, own_pid, _ = OWN.rsplit(":", 2)
    return host == own_host and (pid == own_pid or not _alive(int(pid)))


def _alive(pid: int) -> bool:
    """Whether a process of this machine runs; True where it cannot be told without touching it."""
    if sys.platform == "win32":
        return True  # os.kill would end it; the lease decides
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
