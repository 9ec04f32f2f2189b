"""The sandbox's agent: plays kubelet, syncers and the stand-in controllers."""
