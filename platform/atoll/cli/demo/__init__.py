"""The demonstration job: runs on Ray, so it imports nothing of ours."""
