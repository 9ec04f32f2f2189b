"""Admission policies inside a virtual cluster, made by pure functions; rules in CEL, one file a subject.

They tell a user at once and in words. What must hold against somebody who takes them away is held on
the host: the ResourceQuota of its namespace, pod security, and the policy `atoll-tenant-pods`.
"""
