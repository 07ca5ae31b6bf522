#!/bin/sh
# Train once: on the CSV that MILL_CSV names, else on a simulated mill. Nothing is done when the last training was of the
# same history, settings and version. A new model becomes current if it is not worse (TRAIN_PROMOTE). With arguments it is `sheetbreak`: docker-compose run --rm trainer models
set -eu
[ $# -eq 0 ] || exec sheetbreak "$@"
say() { echo "trainer: $*" >&2; }

# Docker makes a folder where a mount's file is not there.
refuse_folder() { # NAME PATH VALUE
    [ ! -d "$2" ] || {
        say "$1 names no file: $3 is not there, or is a folder; write its path in .env (it begins with / or ./)," \
            "remove the empty folder that Docker made in its place, then docker-compose up -d again"
        exit 2
    }
}
refuse_folder MILL_CSV /input/mill.csv "${MILL_CSV:-}"
refuse_folder MILL_SCHEMA /input/plant.toml "${MILL_SCHEMA:-}"

# What is played as the live stream lies beside what is trained on, for the replay.
if [ -s /input/mill.csv ]; then
    history=/input/mill.csv live=/input/mill.csv
    [ -r "$history" ] || { say "MILL_CSV cannot be read by user $(id -u); run: chmod a+r on it"; exit 2; }
    if [ -s /input/plant.toml ]; then export SHEETBREAK_SCHEMA=/input/plant.toml; fi
else
    simulated=$SIMULATE_DAYS-$SIMULATE_MACHINES-$SIMULATE_SEED-$(sheetbreak --version | tr -dc 0-9.)
    history=/history/mill-$simulated.csv live=/history/live-$simulated.csv
    if [ ! -s "$history" ] || [ ! -s "$live" ]; then
        say "no MILL_CSV: simulating $SIMULATE_MACHINES machines"
        rm -f /history/*.csv
        # Another seed is the same mill at another time: rows that the model has never seen.
        sheetbreak simulate --days "$SIMULATE_DAYS" --machines "$SIMULATE_MACHINES" --seed "$SIMULATE_SEED" --out "$history"
        sheetbreak simulate --days "$SIMULATE_DAYS" --machines "$SIMULATE_MACHINES" --seed "$((SIMULATE_SEED + 1))" --out "$live"
    fi
fi

inputs=$( (sheetbreak --version; sha256sum "$history"; cat "${SHEETBREAK_SCHEMA:-/dev/null}"; env | grep ^SHEETBREAK_ | sort) | sha256sum)
if [ -e /models/current/manifest.json ] && [ "$(cat /history/trained-from 2>/dev/null)" = "$inputs" ]; then
    say "this history was trained on with these settings, $(readlink /models/current) is current: nothing to do"
else
    sheetbreak train "$history"
    echo "$inputs" >/history/trained-from
fi

# A mill's own history is played from the first row on that no model trained on it has seen; another seed's from its start.
: >/history/live-from
if [ "$live" = /input/mill.csv ]; then
    python3 -c '
import json, sys
training = [json.load(open(path))["training"] for path in sys.argv[2:]]
print(max(one["fit_rows"] + one["validation_rows"] for one in training if one.get("data_sha256") == sys.argv[1]))
' "$(sha256sum "$history" | cut -d" " -f1)" /models/*/manifest.json >/history/live-from 2>/dev/null ||
        say "no manifest names a split of this history: all rows are played"
fi
printf '%s\n' "$live" >/history/live.tmp && mv /history/live.tmp /history/live
