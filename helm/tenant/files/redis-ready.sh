# Ready is a primary that answers, or a replica that is connected to its primary.
set -eu
redis-cli INFO replication | tr -d '\r' | grep -Eq '^(role:master|master_link_status:up)$'
