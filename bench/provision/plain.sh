#!/usr/bin/env bash
# What a careful person would type instead: one virtual cluster with a Ray cluster in it, by plain helm and kubectl, each step
# when the one before it is ready.  plain.sh up|down NAME NODE FOLDER
# FOLDER has the charts (*.tgz), the values (<release>.yaml), and the manifests redis.yaml, queue.yaml and raycluster.yaml.
# HELM and KUBECTL name the programs; KUBECONFIG is the host's.
set -euo pipefail
verb=$1 name=$2 node=$3 folder=$4
namespace=vc-$name
host=$KUBECONFIG
inner=$folder/$name.kubeconfig
k() { "$KUBECTL" "$@"; }
stamp() { echo "$(date +%s.%N) $*"; }

up() {
  stamp begin
  k create namespace "$namespace"
  k label node "$node" "atoll.dev/virtual-cluster=$name"
  k -n "$namespace" apply -f "$folder/redis.yaml"
  k -n "$namespace" rollout status statefulset/redis --timeout=180s
  stamp redis
  "$HELM" upgrade --install "$name" "$folder"/vcluster-*.tgz -n "$namespace" -f "$folder/vcluster.yaml" --wait --timeout 5m
  k -n "$namespace" wait --for=create "secret/vc-$name" --timeout=120s
  stamp vcluster
  k -n "$namespace" get secret "vc-$name" -o jsonpath='{.data.config}' | base64 -d >"$inner"
  local address
  address=$(k -n "$namespace" get service "$name" -o jsonpath='{.spec.clusterIP}')
  sed -i "s#https://$name.$namespace.svc:443#https://$address:443#" "$inner"
  export KUBECONFIG=$inner
  until k get serviceaccount default >/dev/null 2>&1; do sleep 1; done
  stamp door
  "$HELM" upgrade --install volcano "$folder"/volcano-*.tgz -n volcano-system --create-namespace -f "$folder/volcano.yaml" --wait --timeout 5m
  stamp volcano
  "$HELM" upgrade --install kuberay-operator "$folder"/kuberay-operator-*.tgz -n kuberay-system --create-namespace -f "$folder/kuberay-operator.yaml" --wait --timeout 5m
  stamp kuberay
  k apply -f "$folder/queue.yaml"
  k create namespace ray --dry-run=client -o yaml | k apply -f -
  k apply -f "$folder/secret.yaml"
  k apply -f "$folder/raycluster.yaml"
  k -n ray wait --for=jsonpath='{.status.state}'=ready raycluster --all --timeout=300s
  stamp ready
}

down() {
  if [ -f "$inner" ]; then
    KUBECONFIG=$inner k -n ray delete raycluster --all --timeout=60s || true
    rm -f "$inner"
  fi
  KUBECONFIG=$host "$HELM" uninstall "$name" -n "$namespace" || true
  KUBECONFIG=$host k delete namespace "$namespace" --timeout=180s || true
  KUBECONFIG=$host k label node "$node" atoll.dev/virtual-cluster-
}

"$verb"
