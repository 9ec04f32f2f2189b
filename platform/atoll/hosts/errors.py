"""What can go wrong while a host is made ready; each message says what, why and what to do next."""


class ToolchainError(Exception):
    """A program the host needs cannot be had on this machine."""


class SandboxError(Exception):
    """The sandbox host cannot be started, repaired or ended."""


class BundleError(Exception):
    """A bundle is not complete, was altered, or cannot be fetched or loaded."""


class HostError(Exception):
    """A host or one of the platform's own processes does not start or does not answer."""
