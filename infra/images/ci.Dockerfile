# syntax=docker/dockerfile:1
# Where GitLab's jobs run: Python, what the tests drive, and what builds, scans and releases. `make ci-image` builds it.
# The pipeline gives PYTHON with its digest; DOCKER_HOST leads its docker to the runner's daemon.
ARG PYTHON=python:3.11.13-slim-bookworm

FROM golang:1.24.6-bookworm AS go

FROM aquasec/trivy:0.65.0 AS trivy

FROM hashicorp/terraform:1.11.4 AS terraform

FROM docker:28.3.3-cli AS docker

FROM ${PYTHON}
RUN apt-get update -qq \
    && apt-get install -qq -y --no-install-recommends make git openssh-client chromium prometheus postgresql \
    && rm -rf /var/lib/apt/lists/*
COPY --from=go /usr/local/go /usr/local/go
COPY --from=trivy /usr/local/bin/trivy /usr/local/bin/trivy
COPY --from=terraform /bin/terraform /usr/local/bin/terraform
COPY --from=docker /usr/local/bin/docker /usr/local/bin/docker
ENV PATH=/usr/local/go/bin:$PATH GOTOOLCHAIN=auto
# The versions of infra/setup.sh, which finds them built.
RUN GOBIN=/usr/local/bin go install helm.sh/helm/v3/cmd/helm@v3.16.4 \
    && GOBIN=/usr/local/bin go install github.com/yannh/kubeconform/cmd/kubeconform@v0.6.7 \
    && rm -rf /root/go /root/.cache
