"""Atoll gives every team a virtual Kubernetes cluster with Ray ready in it."""

__version__ = "0.1.0"
