# Starts one of three Redis pods in the right role. Asked in this order: a Sentinel that is ready, what this
# volume remembers, the other pods. A pod with an empty volume never becomes the primary of pods with data.
set -eu
umask 077
secret=/etc/redis-secret
. /etc/redis/administrator.sh
me=${POD_NAME##*-}

address() { eval "printf %s \"\${REDIS_${1}_SERVICE_HOST:-}\""; }
ask() { timeout 2 redis-cli -h "$1" -p 6379 $2 2>/dev/null || true; }
say() { echo "start: $*" >&2; }

own=$(address "$me")
primary=''
if [ -n "${REDIS_ALONE:-}" ]; then
  # A host that plays the other pods (the sandbox does) runs this one alone.
  own=127.0.0.1 primary=127.0.0.1
fi
if [ -z "$own" ]; then
  say "the Service redis-$me is not known yet"
  exit 1
fi

look_round() {
  # Sets lead to a primary among the others, and empty to how many of them follow and hold nothing.
  lead='' empty=0
  for peer in 0 1 2; do
    [ "$peer" != "$me" ] || continue
    other=$(address "$peer")
    case $(ask "$other" ROLE | head -n 1) in
      master) lead=$other ;;
      slave) [ "$(ask "$other" DBSIZE)" != 0 ] || empty=$((empty + 1)) ;;
    esac
  done
}

while [ -z "$primary" ]; do
  named=$(ask "$REDIS_SERVICE_HOST" "SENTINEL get-master-addr-by-name gcs" | head -n 1)
  if [ "$named" = "$own" ] && [ ! -d /data/appendonlydir ]; then
    say "the Sentinels name this pod, whose volume is empty; waiting until they name another"
  elif [ -n "$named" ]; then
    primary=$named
  elif [ -d /data/appendonlydir ] && [ -s /data/redis.conf ]; then
    primary=$(sed -n 's/^replicaof \([^ ]*\) .*/\1/p' /data/redis.conf)
    primary=${primary:-$own}
  else
    look_round
    if [ -n "$lead" ]; then
      primary=$lead
    elif [ "$me" != 0 ]; then
      primary=$(address 0)
    elif [ "$empty" = 2 ]; then
      primary=$own
    else
      say "waiting for the other pods: only $empty of 2 say that they hold nothing"
    fi
  fi
  [ -n "$primary" ] || sleep 1
done

{
  if [ -n "${REDIS_ALONE:-}" ]; then grep -v '^min-replicas' /etc/redis/redis.conf; else cat /etc/redis/redis.conf; fi
  printf 'masterauth "%s"\nreplica-announce-ip %s\n' "$REDISCLI_AUTH" "$own"
  [ "$primary" = "$own" ] || printf 'replicaof %s 6379\n' "$primary"
} > /data/redis.conf
{
  administrator
  cat /etc/redis-users/users.acl 2>/dev/null || true
} > /run/redis/users.acl
say "primary is $primary"
exec redis-server /data/redis.conf
