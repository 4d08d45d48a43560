#!/usr/bin/env bash
# Three kv processes on this machine: a partition that heals, and a replica that
# is killed and comes back empty. Prints how long agreement took. Needs Go, curl.
#
#   ./demo.sh [number of keys written while one replica is down, 1000 if not given]
set -euo pipefail
cd "$(dirname "$0")"

keys=${1:-1000}
base=${KV_PORT:-7700}          # the first of six ports
work=$(mktemp -d)
declare -A pid http tcp
for n in a b c; do
  tcp[$n]=127.0.0.1:$((base++)) http[$n]=127.0.0.1:$((base++))
done

stop() { kill "${pid[@]}" 2>/dev/null || true; wait 2>/dev/null || true; rm -rf "$work"; }
trap stop EXIT
die() { echo "FAILED: $*" >&2; cat "$work"/*.log >&2; exit 1; }

start() { # start NODE
  local peers=""
  for p in a b c; do [ "$p" = "$1" ] || peers+="$p=${tcp[$p]},"; done
  "$work/kv" -id "$1" -plain -listen "${tcp[$1]}" -http "${http[$1]}" -peers "$peers" -faults >>"$work/$1.log" 2>&1 &
  pid[$1]=$!
  within 5 "$1 serves" curl -fs -o /dev/null "http://${http[$1]}/v1/status"
}

now() { date +%s%N; }
since() { awk -v t="$(($(now) - $1))" 'BEGIN { printf "%.2f s", t / 1e9 }'; }

within() { # within SECONDS WHAT COMMAND...
  local limit=$1 what=$2 t0; t0=$(now); shift 2
  until "$@"; do
    [ $(($(now) - t0)) -lt $((limit * 1000000000)) ] || die "not within $limit s: $what"
    sleep 0.05
  done
}

post() { curl -fsS -o /dev/null -X POST "http://${http[$1]}$2" -d "$3" || die "POST $2 on $1"; }
get() { curl -fsS "http://${http[$1]}$2"; }
root() { get "$1" /v1/status | sed 's/.*"root":"\([0-9a-f]*\)".*/\1/'; }
count() { get "$1" /v1/status | sed 's/.*"keys":\([0-9]*\).*/\1/'; }

one_root() { [ "$(root a)" = "$(root b)" ] && [ "$(root b)" = "$(root c)" ]; }
same() { # same PATH BODY: every replica answers BODY from itself
  for n in a b c; do [ "$(get $n "$1?level=one")" = "$2" ] || return 1; done
}
agreed() { same /v1/counters/likes '{"value":113}' && same /v1/sets/cart '{"value":["bread","jam","milk"]}' && one_root; }
back() { [ "$(count c)" = "$(count a)" ] && one_root; }

go build -o "$work/kv" .
for n in a b c; do start $n; done
# a may have called the others before they were there, and waits a little before it does so again
all_answer() { curl -fs -o /dev/null -X POST "http://${http[a]}/v1/counters/likes?level=all" -d '{"add": 0}'; }
within 5 "all three answer" all_answer
post a "/v1/counters/likes?level=all" '{"add": 3}'
post a "/v1/sets/cart?level=all" '{"add": ["bread"]}'

echo "cut a from b and c; write the same counter and set on both sides at level one"
post a /v1/faults '{"cut": ["b", "c"]}'
post a "/v1/counters/likes?level=one" '{"add": 10}'
post b "/v1/counters/likes?level=one" '{"add": 100}'
post a "/v1/sets/cart?level=one" '{"add": ["milk"]}'
post c "/v1/sets/cart?level=one" '{"add": ["jam"]}'
status=$(curl -s -o "$work/refused" -w '%{http_code}' -X POST "http://${http[a]}/v1/counters/likes" -d '{"add": 0}')
[ "$status" = 503 ] || [ "$status" = 504 ] || die "a majority answered through the cut: $status"
echo "  a at level majority: $status $(cat "$work/refused")"
! one_root || die "the cut does not cut"
t0=$(now)
post a /v1/faults '{}'
within 5 "one value, one root after the cut" agreed
echo "healed: one value and one root everywhere after $(since "$t0")"

echo "kill c with SIGKILL, write $keys keys, start c empty"
kill -KILL "${pid[c]}"; wait "${pid[c]}" 2>/dev/null || true
t0=$(now)
seq "$keys" | awk -v u="http://${http[a]}" '{ printf "next\nurl = \"%s/v1/counters/key-%d\"\ndata = \"{\\\"add\\\": 1}\"\noutput = /dev/null\nfail\nsilent\nshow-error\n", u, $1 }' |
  sed 1d | curl -K - || die "writing with one replica down"
echo "  written at level majority in $(since "$t0")"
t0=$(now)
start c
within 10 "c holds all keys" back
echo "c holds all $(count c) keys, one root everywhere, $(since "$t0") after its start"
echo ok
