#!/bin/sh
# The article's commands, one after another, as an engineer types them. Arguments: the AWS CLI, cluster, principal.
set -eu
aws=$1 cluster=$2 principal=$3
policy=arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy
kubeconfig=$(mktemp)
trap 'rm -f "$kubeconfig"' EXIT
"$aws" sts get-caller-identity >/dev/null
"$aws" eks describe-cluster --name "$cluster" --query cluster.accessConfig >/dev/null
"$aws" eks create-access-entry --cluster-name "$cluster" --principal-arn "$principal" >/dev/null
"$aws" eks associate-access-policy --cluster-name "$cluster" --principal-arn "$principal" \
  --policy-arn "$policy" --access-scope type=cluster >/dev/null
"$aws" eks update-kubeconfig --name "$cluster" --kubeconfig "$kubeconfig" >/dev/null
