# Delivery: what the pipelines call. Nothing here runs in make check or make test.
VERSION ?= v0.0.0
NUMBER = $(VERSION:v%=%)
REGISTRY ?= recs
PYTHON_IMAGE ?= python:3.11.13-slim-bookworm
KUBE_CONTEXT ?= none
HELM = helm --kube-context $(KUBE_CONTEXT) --namespace recs
VALUES ?= infra/helm/recs/values-prod.yaml
IMAGES := day night

.PHONY: ci-image images scan push chart canary uncanary release rollback audit sbom notes

ci-image: ## build and publish where GitLab's jobs run, VERSION=v1.2.3; once, and when infra/images/ci.Dockerfile changes
	@docker build -f infra/images/ci.Dockerfile --build-arg PYTHON=$(PYTHON_IMAGE) -t $(REGISTRY)/ci:$(NUMBER) infra/images
	@docker push $(REGISTRY)/ci:$(NUMBER)

images: ## build both images, VERSION=v1.2.3
	@for name in $(IMAGES); do docker build -f infra/images/$$name.Dockerfile --build-arg PYTHON=$(PYTHON_IMAGE) \
	  -t $(REGISTRY)/$$name:$(NUMBER) . || exit 1; done

scan: ## refuse images with known holes that have a remedy
	@for name in $(IMAGES); do trivy image --exit-code 1 --ignore-unfixed --severity HIGH,CRITICAL \
	  $(REGISTRY)/$$name:$(NUMBER) || exit 1; done

push: ## publish both images
	@for name in $(IMAGES); do docker push $(REGISTRY)/$$name:$(NUMBER) || exit 1; done

chart: ## publish the chart to CHARTS (oci://…)
	@mkdir -p build && helm package infra/helm/recs --version $(NUMBER) --app-version $(NUMBER) -d build
	@helm push build/recs-$(NUMBER).tgz $(CHARTS)

canary: ## one pod of each behind production's Services, so for a share of its requests; comes off when it does not get ready
	@$(HELM) upgrade --install recs-canary infra/helm/recs -f $(VALUES) --atomic --timeout 10m \
	  --set images.repository=$(REGISTRY),images.day=$(NUMBER),images.night=$(NUMBER) \
	  --set lookup.replicas=1,grpc.replicas=1,feedback.replicas=1,operators.replicas=1,overlay.replicas=1,land.replicas=1 \
	  --set serves=recs,tls.secret=recs-canary-tls,dagster.enabled=false,mlflow.enabled=false,backup.enabled=false,ingress.enabled=false

uncanary: ## take it off
	@$(HELM) uninstall recs-canary --wait --ignore-not-found

release: ## the version everywhere, rolling; goes back by itself when it does not get ready
	@$(HELM) upgrade --install recs infra/helm/recs -f $(VALUES) --atomic --timeout 20m --history-max 10 \
	  --set images.repository=$(REGISTRY),images.day=$(NUMBER),images.night=$(NUMBER)

rollback: ## the release before
	@$(HELM) rollback recs --wait --timeout 20m

audit: setup ## known holes in the packages of both images
	@for name in $(IMAGES); do .venv/bin/uv tool run pip-audit@2.9.0 --require-hashes --disable-pip -r infra/images/$$name.lock || exit 1; done

sbom: setup ## what is in both images, CycloneDX, into build/sbom
	@mkdir -p build/sbom
	@for name in $(IMAGES); do .venv/bin/uv tool run --from cyclonedx-bom==7.5.0 cyclonedx-py requirements infra/images/$$name.lock \
	  --output-reproducible -o build/sbom/$$name.json || exit 1; done

notes: ## what changed since the version before
	@mkdir -p build && git log --no-merges --format='- %s' \
	  $$(git describe --tags --abbrev=0 $(VERSION)^ 2>/dev/null | sed 's/$$/../')$(VERSION) > build/notes-$(VERSION).md && cat build/notes-$(VERSION).md
