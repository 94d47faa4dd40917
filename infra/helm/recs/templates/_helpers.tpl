{{- define "recs.labels" -}}
app.kubernetes.io/name: recs
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .role }}
{{- end }}

{{- define "recs.meta" -}}
name: {{ .root.Release.Name }}-{{ .role }}
labels:
  {{- include "recs.labels" . | nindent 2 }}
  app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
  helm.sh/chart: {{ .root.Chart.Name }}-{{ .root.Chart.Version }}
{{- end }}

{{- define "recs.image" -}}
{{- $tag := index .root.Values.images .image | default .root.Chart.AppVersion -}}
{{ .root.Values.images.repository }}/{{ .image }}{{ if hasPrefix "sha256:" $tag }}@{{ else }}:{{ end }}{{ $tag }}
{{- end }}

{{/* What every pod is: nobody, without rights, spread over zones and hosts. */}}
{{- define "recs.podSpec" -}}
automountServiceAccountToken: false
enableServiceLinks: false
terminationGracePeriodSeconds: {{ .root.Values.graceSeconds }}
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile: {type: RuntimeDefault}
topologySpreadConstraints:
  {{- range $key, $hard := dict "topology.kubernetes.io/zone" "ScheduleAnyway" "kubernetes.io/hostname" "ScheduleAnyway" }}
  - maxSkew: 1
    topologyKey: {{ $key }}
    whenUnsatisfiable: {{ $hard }}
    labelSelector:
      matchLabels: {{- include "recs.labels" $ | nindent 8 }}
  {{- end }}
{{- end }}

{{/* Settings and names of secrets of one role, as RECS_ variables. Whoever has no disk takes no feedback, and whoever is
     not there for operators, none of their decisions. */}}
{{- define "recs.env" -}}
{{- $mine := index .root.Values .role | default dict -}}
{{- $fixed := ternary (dict "feedback" "off") dict (has .role (list "lookup" "grpc" "operators")) -}}
{{- if and .root.Values.operators.enabled (has .role (list "lookup" "grpc" "feedback")) -}}
{{- $_ := set $fixed "operators" "off" -}}
{{- end -}}
{{- range $name, $value := merge dict $fixed ($mine.settings | default dict) ($mine.secrets | default dict) }}
- {name: RECS_{{ upper $name }}, value: {{ $value | quote }}}
{{- end }}
{{- end }}

{{/* The Secret with a key of that kind which a role has: its own, or everybody's. */}}
{{- define "recs.keySecret" -}}
{{- index (index .root.Values .role) .kind | default (index .root.Values .kind) -}}
{{- end }}

{{- define "recs.container" -}}
image: {{ include "recs.image" . }}
imagePullPolicy: {{ .root.Values.images.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
envFrom:
  - configMapRef: {name: {{ .root.Release.Name }}-settings}
  - secretRef: {name: {{ include "recs.keySecret" (dict "root" .root "role" .role "kind" "storageKeySecret") }}}
{{- if not .ownEnv }}
{{- with include "recs.env" . }}
env: {{- . | nindent 2 }}
{{- end }}
{{- end }}
resources: {{- toYaml .resources | nindent 2 }}
volumeMounts:
  - {name: data, mountPath: /data}
  - {name: tmp, mountPath: /tmp}
  {{- if ne .role "mlflow" }}
  - {name: lockbox, mountPath: /etc/recs/lockbox, readOnly: true}
  {{- end }}
  {{- if .root.Values.caConfigMap }}
  - {name: ca, mountPath: /etc/recs/ca, readOnly: true}
  {{- end }}
  {{- if .root.Values.tls.enabled }}
  - {name: tls, mountPath: /etc/recs/tls, readOnly: true}
  {{- end }}
{{- end }}

{{/* Volumes but `data`. */}}
{{- define "recs.volumes" -}}
- name: tmp
  emptyDir: {}
{{- if ne .role "mlflow" }}
- name: lockbox
  secret: {secretName: {{ include "recs.keySecret" (dict "root" .root "role" .role "kind" "lockboxKeySecret") }}, defaultMode: 0440}
{{- end }}
{{- with .root.Values.caConfigMap }}
- name: ca
  configMap: {name: {{ . }}}
{{- end }}
{{- if .root.Values.tls.enabled }}
- name: tls
  secret: {secretName: {{ .root.Values.tls.secret }}, defaultMode: 0440}
{{- end }}
{{- end }}

{{/* A changed setting is a new pod. */}}
{{- define "recs.podMeta" -}}
labels:
  {{- include "recs.labels" . | nindent 2 }}
  recs/serves: {{ .root.Values.serves | default .root.Release.Name }}
annotations:
  checksum/settings: {{ include (print .root.Template.BasePath "/settings.yaml") .root | sha256sum }}
{{- end }}

{{/* REST. Alive: the process answers. Ready: it could answer of any tier, for a look-up never fails. The kubelet has no
     certificate to show, so it asks at plain ports, which the network policy opens to nobody else. */}}
{{- define "recs.rest" -}}
- name: api
  {{- include "recs.container" . | nindent 2 }}
  command: [python, -m, api]
  ports:
    - {name: http, containerPort: 8080}
    - {name: probes, containerPort: 8081}
  {{- range $probe, $path := dict "startupProbe" "/healthz" "livenessProbe" "/healthz" "readinessProbe" "/readyz" }}
  {{ $probe }}:
    httpGet: {path: {{ $path }}, port: probes}
    periodSeconds: {{ eq $probe "livenessProbe" | ternary 10 2 }}
    timeoutSeconds: 2
    failureThreshold: {{ eq $probe "startupProbe" | ternary 60 3 }}
  {{- end }}
  lifecycle:
    preStop:
      exec: {command: [sleep, {{ .root.Values.drainSeconds | quote }}]}
{{- end }}

{{- define "recs.grpcServer" -}}
- name: grpc
  {{- include "recs.container" . | nindent 2 }}
  command: [python, -m, api.grpc]
  ports:
    - {name: grpc, containerPort: 50051}
    - {name: metrics, containerPort: 9464}
    - {name: grpc-probes, containerPort: 50052}
  {{- range $probe := list "startupProbe" "livenessProbe" "readinessProbe" }}
  {{ $probe }}:
    grpc: {port: 50052}
    periodSeconds: {{ eq $probe "livenessProbe" | ternary 10 2 }}
    timeoutSeconds: 2
    failureThreshold: {{ eq $probe "startupProbe" | ternary 60 3 }}
  {{- end }}
  lifecycle:
    preStop:
      exec: {command: [sleep, {{ .root.Values.drainSeconds | quote }}]}
{{- end }}
