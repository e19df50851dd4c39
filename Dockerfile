# tailrace as a sidecar: listens on 8787, writes bundles to the volume /traces, runs as an ordinary user.
# Fit for `docker run --read-only`: nothing but /traces is ever written. An example: deploy/compose.yaml

FROM docker.io/library/python:3.11-slim-bookworm AS build
WORKDIR /build
RUN python3 -m venv --without-pip /opt/tailrace
# A layer of its own for the dependencies: it changes with pyproject.toml, not with every line of source.
COPY pyproject.toml ./
RUN python3 -c "import tomllib; print(*tomllib.load(open('pyproject.toml', 'rb'))['project']['dependencies'], sep='\n')" > requirements.txt \
    && python3 -m pip --python /opt/tailrace/bin/python3 install --no-cache-dir --requirement requirements.txt
COPY README.md LICENSE tailrace.py ./
COPY proxy proxy
COPY reducer reducer
COPY tracing tracing
COPY viewer viewer
RUN python3 -m pip --python /opt/tailrace/bin/python3 install --no-cache-dir --no-deps .

FROM docker.io/library/python:3.11-slim-bookworm
LABEL org.opencontainers.image.title="tailrace" \
      org.opencontainers.image.description="A local reverse proxy that traces OpenAI Responses API traffic" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /opt/tailrace /opt/tailrace
# A fresh named volume gets the owner and the mode of the directory that it covers.
RUN mkdir --mode=0700 /traces && chown 10001:10001 /traces && mkdir /etc/tailrace
ENV PATH=/opt/tailrace/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    TAILRACE_LISTEN=0.0.0.0:8787 \
    TAILRACE_TRACE_DIR=/traces
# A tailrace.toml mounted here is read.
WORKDIR /etc/tailrace
USER 10001:10001
VOLUME /traces
EXPOSE 8787
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s \
    CMD ["python3", "-c", "import os, urllib.request; urllib.request.urlopen('http://127.0.0.1:' + os.environ['TAILRACE_LISTEN'].rpartition(':')[2] + '/-/healthz', timeout=2)"]
# Exec form: tailrace itself is PID 1 and gets the SIGTERM of `docker stop`.
ENTRYPOINT ["tailrace"]
CMD ["serve"]
