"""Typed, synchronous client of the Atoll API, for the command line and for tests."""

from atoll.client.atoll import Atoll

__all__ = ["Atoll"]
