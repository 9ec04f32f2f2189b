# Ready is a Sentinel whose primary takes writes, asked as Ray asks (DEL DUMMY). While there is none no Sentinel
# is ready, and Ray tries to connect again instead of being sent to a Redis that is gone.
# It must also know a replica and another Sentinel: one that has just started could not follow a failure.
set -eu
REDISCLI_AUTH=$(cat /etc/redis-secret/password)
export REDISCLI_AUTH
set -- $(redis-cli -p 26379 SENTINEL master gcs |
  awk 'name ~ /^(ip|flags|num-slaves|num-other-sentinels)$/ {print} {name = $0}')
[ "$2" = master ]
[ "$3" -gt 0 ]
[ "$4" -gt 0 ]
timeout 2 redis-cli -h "$1" -p 6379 DEL DUMMY | grep -Eq '^[01]$'
