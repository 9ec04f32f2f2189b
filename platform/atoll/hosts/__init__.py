"""Hosts: what `atoll up` needs to have a cluster to work on."""
