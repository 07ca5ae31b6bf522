#!/bin/sh
# Play, for ever, what the trainer left to be played.
set -eu
if [ -s /input/mill.csv ] && [ -s /input/plant.toml ]; then export SHEETBREAK_SCHEMA=/input/plant.toml; fi
exec sheetbreak replay "$(cat /history/live)" --to kafka://kafka:9092/sensor-rows --times onward --loop
