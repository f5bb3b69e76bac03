"""Where pictures are already, so that none is uploaded twice: at a provider or a hosting, and until when."""

from __future__ import annotations

import sqlalchemy as sa

from .database import again
from .journal import Journal
from .records import UPLOADS


class Pictures:
    """The uploads that the journal's database remembers. Safe between threads and processes.

    Raises JournalUnavailable when the database cannot be used.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    @again
    def find(self, place: str, sha256: str, *, at_least: float) -> str | None:
        """Where a picture is at *place* already, for at least so many seconds more."""
        query = sa.select(UPLOADS.c.url).where(
            _at(place, sha256), UPLOADS.c.until > self._journal.now() + at_least
        )
        with self._journal.database.transaction() as connection:
            url = connection.scalar(query)
        return None if url is None else str(url)

    @again
    def remember(self, place: str, sha256: str, url: str, *, life: float) -> None:
        """A picture is at *place*, for *life* seconds from now."""
        now = self._journal.now()
        row = {"place": place, "sha256": sha256, "url": url, "until": now + life}
        with self._journal.database.transaction(writes=True) as connection:
            connection.execute(UPLOADS.delete().where(sa.or_(_at(place, sha256), UPLOADS.c.until < now)))
            connection.execute(UPLOADS.insert().values(row))

    @again
    def forget(self, place: str, sha256: str) -> None:
        """A picture is at *place* no longer, or cannot be read there, in whatever form it was sent."""
        with self._journal.database.transaction(writes=True) as connection:
            forms = UPLOADS.c.sha256.startswith(f"{sha256} ")
            gone = sa.or_(_at(place, sha256), sa.and_(UPLOADS.c.place == place, forms))
            connection.execute(UPLOADS.delete().where(gone))


def _at(place: str, sha256: str) -> sa.ColumnElement[bool]:
    return sa.and_(UPLOADS.c.place == place, UPLOADS.c.sha256 == sha256)
