"""Strict loopback servers, one for each provider: what is not documented is refused."""
