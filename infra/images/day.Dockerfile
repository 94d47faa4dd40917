# syntax=docker/dockerfile:1
# Image `day`: API, gRPC, overlay, landing and operators' commands. No Spark, no Dagster.
# The pipeline gives PYTHON with its digest (python:3.11.13-slim-bookworm@sha256:…), so that a rebuild is the same.
ARG PYTHON=python:3.11.13-slim-bookworm

FROM ${PYTHON} AS packages
RUN python -m venv /opt/recs
COPY infra/images/day.lock /tmp/day.lock
RUN /opt/recs/bin/pip install --no-cache-dir --no-deps --only-binary :all: --require-hashes -r /tmp/day.lock

FROM ${PYTHON} AS day
COPY --from=packages /opt/recs /opt/recs
ENV PATH=/opt/recs/bin:$PATH PYTHONPATH=/app PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    RECS_DATA_DIR=/data RECS_API_HOST=0.0.0.0 RECS_LOG_FORMAT=json
WORKDIR /app
COPY api api
COPY data_contracts data_contracts
COPY infra infra
COPY spark_jobs spark_jobs
COPY sql sql
COPY --chmod=0555 infra/images/recs /opt/recs/bin/recs
RUN python -m compileall -q /app && mkdir /data && chown 10001:10001 /data
# The root file system may be read-only: only /data and /tmp are written to.
USER 10001:10001
VOLUME /data
EXPOSE 8080 50051 9464
CMD ["python", "-m", "api"]
