"""Pages for people: plain HTML from templates, right after a reload, live where the browser can.

`views.router` is the door. Views read and write through the use cases of `atoll.application` only.
"""
