"""Who can be asked from this machine: providers by name, and a client for each with the owner's key."""

from __future__ import annotations

from collections.abc import Sequence

from .client import Client
from .clock import Clock
from .credentials import Credentials, missing
from .errors import InvalidInput, MissingCredentials
from .offer import Provider


class Connections:
    """The providers of this machine. Safe on any number of threads."""

    def __init__(self, providers: Sequence[Provider], credentials: Credentials) -> None:
        self.providers = tuple(providers)
        self._credentials = credentials

    def provider(self, name: str) -> Provider:
        """The provider called *name*. Raises InvalidInput."""
        for candidate in self.providers:
            if candidate.name == name:
                return candidate
        raise InvalidInput(f"There is no provider called {name!r} in this version of the pack.")

    def configured(self, provider: Provider) -> bool:
        """Whether this machine has what *provider* needs; local ones need nothing."""
        return not missing(provider.needs, self._credentials)

    def asking(self, provider: Provider, clock: Clock) -> Client:
        """For questions that an artist waits for before anything happens: a slow answer is no answer."""
        return self.client(provider, clock, read=5.0)

    def client(self, provider: Provider, clock: Clock, *, read: float | None = None) -> Client:
        """What *provider* is talked to through. Raises MissingCredentials."""
        secrets = self._credentials.find(provider.secrets)
        lacking = missing(provider.needs, self._credentials)
        if secrets is None or lacking:
            raise MissingCredentials(
                f"{provider.label} needs {' and '.join(lacking)}{provider.found_at}, and there is none on this "
                "machine. Nothing new was billed; a clip that was already paid stays in the journal."
            )
        return Client(
            provider.label,
            self._credentials.setting(provider.base_url_variable) or provider.base_url,
            lambda: provider.sign(secrets),
            clock,
            provider.error_text,
            explain=provider.explain,
            setting=self._credentials.setting,
            account=self._credentials.account(provider.identity),
            read=read,
        )
