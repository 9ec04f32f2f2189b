"""What an address says of where it leads. Pure."""

from urllib.parse import urlsplit


def is_loopback(url: str) -> bool:
    """Whether it is this machine itself, which a proxy of the environment never reaches."""
    return urlsplit(url).hostname in ("127.0.0.1", "localhost", "::1")
