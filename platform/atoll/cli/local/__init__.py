"""What `atoll up`, `atoll down` and `atoll status` do on this machine."""
