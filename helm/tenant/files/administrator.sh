# The administrator's passwords, from the mounted Secret whose folder is $secret. While a new one is being brought in
# there are two, and both are admitted.
REDISCLI_AUTH=$(cat "$secret/password")
export REDISCLI_AUTH

administrator() {
  # A line of an ACL file.
  hashes=''
  for part in password next previous; do
    [ -s "$secret/$part" ] || continue
    hashes="$hashes #$(printf %s "$(cat "$secret/$part")" | sha256sum | cut -d' ' -f1)"
  done
  printf 'user default on%s ~* &* +@all\n' "$hashes"
}
