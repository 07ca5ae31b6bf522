#!/bin/sh
# Play, for ever, what the trainer left to be played.
set -eu
case ${REPLAY:-on} in
on) ;;
off) echo "replay: off (REPLAY=off in .env): rows come from your own feed" >&2 && exec sleep infinity ;;
*) echo "replay: REPLAY is \"$REPLAY\"; it is on or off" >&2 && exit 2 ;;
esac
if [ -s /input/mill.csv ] && [ -s /input/plant.toml ]; then export SHEETBREAK_SCHEMA=/input/plant.toml; fi
if [ -z "${SHEETBREAK_FROM:-}" ] && [ -s /history/live-from ]; then
    SHEETBREAK_FROM=$(cat /history/live-from) && export SHEETBREAK_FROM
fi
exec sheetbreak replay "$(cat /history/live)" --to kafka://kafka:9092/sensor-rows --times onward --loop
