# The image of helm/atoll, one for all processes of the platform: docs/guides/install.md says how to build it.
# tests/charts/test_image.py holds it to the chart.

# By minor version, so that a build of today has today's patches.
FROM docker.io/library/python:3.13-slim-trixie AS platform
COPY requirements/runtime.txt /opt/atoll/requirements/runtime.txt
RUN python -m pip install --no-cache-dir --require-hashes --requirement /opt/atoll/requirements/runtime.txt
# As in the source tree: the worker looks for helm/tenant beside its package.
COPY platform /opt/atoll/platform
COPY worker /opt/atoll/worker
COPY helm/tenant /opt/atoll/helm/tenant
ENV PYTHONPATH=/opt/atoll/platform:/opt/atoll/worker
# The pods' root is read-only: what is not compiled here is compiled at each start.
RUN python -m compileall -q /opt/atoll/platform /opt/atoll/worker

# The helm that the toolchain names: downloaded, with the SHA-256 that its publisher lists, or built.
FROM platform AS programs
ENV ATOLL_CACHE=/programs
RUN python -c "from atoll.hosts.toolchain import Toolchain; print(Toolchain().path('helm'))"

FROM platform
COPY --from=programs /programs/bin/helm /usr/local/bin/helm
# By number: Kubernetes cannot tell of a name that it is not root.
USER 10001:10001
