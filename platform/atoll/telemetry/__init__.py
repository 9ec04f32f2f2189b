"""Logs and metrics, the same way in every process."""
