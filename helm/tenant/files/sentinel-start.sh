# Starts one of three Sentinels. What it knew is in its folder; else it asks a Sentinel that is ready, else the
# Redis pods, of which exactly one must say that it is the primary.
set -eu
umask 077
secret=/etc/redis-secret
. /etc/redis/administrator.sh
ask() { timeout 2 redis-cli -h "$1" -p 6379 $2 2>/dev/null || true; }

{
  administrator
  cat /etc/redis-users/sentinel.acl 2>/dev/null || true
} > /run/redis/users.acl

while [ ! -s /run/redis/sentinel.conf ]; do
  primary=$(ask "$REDIS_SERVICE_HOST" "SENTINEL get-master-addr-by-name gcs" | head -n 1)
  if [ -z "$primary" ]; then
    count=0
    for pod in "$REDIS_0_SERVICE_HOST" "$REDIS_1_SERVICE_HOST" "$REDIS_2_SERVICE_HOST"; do
      case $(ask "$pod" ROLE | head -n 1) in
        master) primary=$pod count=$((count + 1)) ;;
      esac
    done
    if [ "$count" != 1 ]; then
      echo "start: $count Redis pods say that they are the primary; waiting for exactly one" >&2
      sleep 1
      continue
    fi
  fi
  # The name gives the identity: a new pod takes the place of the old one instead of adding to it.
  identity=$(printf %s "$POD_NAME" | sha1sum | cut -d' ' -f1)
  {
    cat /etc/redis/sentinel.conf
    printf 'sentinel announce-ip %s\nsentinel myid %s\n' "$POD_IP" "$identity"
    printf 'sentinel monitor gcs %s 6379 2\n' "$primary"
    printf 'sentinel auth-pass gcs %s\nsentinel sentinel-pass %s\n' "$REDISCLI_AUTH" "$REDISCLI_AUTH"
    printf 'sentinel down-after-milliseconds gcs 5000\n'
    printf 'sentinel failover-timeout gcs 15000\nsentinel parallel-syncs gcs 2\n'
  } > /run/redis/sentinel.new
  mv /run/redis/sentinel.new /run/redis/sentinel.conf
done
exec redis-server /run/redis/sentinel.conf --sentinel
