#!/bin/bash
# Whether the broker answers: an ApiVersions request over the address that the others use, without starting a JVM (a slow
# host killed such a probe and left it behind). Usage: probe.sh [HOST [PORT]]
# The request (Kafka's protocol, version 0): 10 bytes follow, key 18, version 0, correlation id 1, no client id.
# The answer: its length, the same id, error code 0.
set -eu
exec timeout 5 bash -c '
    exec 3<>"/dev/tcp/$0/$1"
    printf "\0\0\0\012\0\022\0\0\0\0\0\001\377\377" >&3
    answer=$(head -c 10 <&3 | od -An -tx1 | tr -d " \n")
    [ "${answer#????????}" = 000000010000 ]
' "${1:-kafka}" "${2:-9092}" 2>/dev/null
