#!/bin/sh
# Points Tavily's official SDKs at the stand-in, without faults and with each fault that they map.
#
#     run.sh WORKDIR     installs tavily-python and @tavily/core below WORKDIR unless they are there
#
# Exits with 1 if either SDK sees something that it would not see at Tavily's.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../../.." && pwd)
work=$1
mkdir -p "$work"
cd "$work"
[ -x py/bin/python ] || python3 -m venv py
py/bin/python -c 'import tavily' 2>/dev/null || py/bin/pip install --quiet tavily-python==0.8.5
[ -d node_modules/@tavily/core ] || npm install --silent --no-save @tavily/core@0.7.13

cargo build --quiet --manifest-path "$root/Cargo.toml" -p toolgate-tests --bin tavily-stand-in
target=${CARGO_TARGET_DIR:-$root/target}
pids=
trap 'kill $pids 2>/dev/null || true' EXIT
# Sets $url to where a new stand-in with these flags runs.
stand_in() {
    rm -f url
    mkfifo url
    "$target/debug/tavily-stand-in" "$@" >url &
    pids="$pids $!"
    read -r url <url
    rm -f url
}

stand_in
plain=$url
faults=
for fault in no-auth-header key-deactivated 429-no-header 432 433 403 500 extract-all-invalid keyless-limit; do
    stand_in --fault "$fault"
    faults="$faults $fault=$url"
done
python_only=
for fault in 502-html 422-list-detail; do
    stand_in --fault "$fault"
    python_only="$python_only $fault=$url"
done

status=0
# The lists are meant to be split.
# shellcheck disable=SC2086
env -u TAVILY_API_KEY NO_PROXY=127.0.0.1 py/bin/python "$here/check.py" "$plain" $faults $python_only || status=1
# shellcheck disable=SC2086
env -u TAVILY_API_KEY NO_PROXY=127.0.0.1 node "$here/check.mjs" "$plain" $faults || status=1
exit $status
