# Ready is a primary that answers, or a replica that is connected to its primary.
set -eu
REDISCLI_AUTH=$(cat /etc/redis-secret/password)
export REDISCLI_AUTH
redis-cli INFO replication | tr -d '\r' | grep -Eq '^(role:master|master_link_status:up)$'
