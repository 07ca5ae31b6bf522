#!/bin/sh
# Start Alertmanager (busybox's shell): with the receivers of receivers.yml where that is there, else with each of the two
# webhooks that .env names. A webhook's URL often is a secret: it stands in the file that only Alertmanager reads, not on a
# command line.
set -eu
umask 077
own=/etc/alertmanager/receivers.yml
while IFS= read -r line; do
    case $line in
    "receivers:") [ ! -f "$own" ] || break ;;
    "#webhook-operators"*) name=operators url=${OPERATORS_WEBHOOK:-} ;;
    "#webhook-engineers"*) name=engineers url=${ENGINEERS_WEBHOOK:-} ;;
    esac
    case $line in
    "#webhook-"*) [ -n "$url" ] || continue ;;
    *) printf '%s\n' "$line" && continue ;;
    esac
    line=${line#"#webhook-$name"}
    printf "%s'%s'%s\\n" "${line%%WEBHOOK*}" "$url" "${line#*WEBHOOK}"
done </etc/alertmanager/alertmanager.yml >/tmp/alertmanager.yml
[ ! -f "$own" ] || cat "$own" >>/tmp/alertmanager.yml
unset OPERATORS_WEBHOOK ENGINEERS_WEBHOOK
exec /bin/alertmanager --config.file=/tmp/alertmanager.yml --storage.path=/alertmanager --cluster.listen-address= "$@"
