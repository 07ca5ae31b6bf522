#!/bin/sh
# Start Alertmanager (busybox's shell): each of the two webhooks is turned on when .env names it. A webhook's URL often
# is a secret: it stands in the file that only Alertmanager reads, not on a command line.
set -eu
umask 077
while IFS= read -r line; do
    case $line in
    "#webhook-operators"*) name=operators url=${OPERATORS_WEBHOOK:-} ;;
    "#webhook-engineers"*) name=engineers url=${ENGINEERS_WEBHOOK:-} ;;
    *) printf '%s\n' "$line" && continue ;;
    esac
    [ -n "$url" ] || continue
    line=${line#"#webhook-$name"}
    printf "%s'%s'%s\\n" "${line%%WEBHOOK*}" "$url" "${line#*WEBHOOK}"
done </etc/alertmanager/alertmanager.yml >/tmp/alertmanager.yml
unset OPERATORS_WEBHOOK ENGINEERS_WEBHOOK
exec /bin/alertmanager --config.file=/tmp/alertmanager.yml --storage.path=/alertmanager --cluster.listen-address= "$@"
