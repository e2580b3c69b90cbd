#!/usr/bin/env bash
# Each pattern at half of what it can do and with three times the callers that it takes to reach that, in both variants: no 500, memory flat.
# Publish-subscribe has two subscribers meanwhile, one of which stops reading.
# Start the system first: dotnet run --project AppHost. Names of patterns as arguments choose some of them.
# SECONDS_EACH, GATEWAY and THREADS may be set.
source "$(dirname "$0")/common.sh"
need wrk curl jq ss pgrep
local_only "$gateway"
curl -sf -o /dev/null "$gateway/alive" || { echo "Nothing is alive at $gateway." >&2; exit 2; }
seconds=${SECONDS_EACH:-15}
threads=${THREADS:-8}
wanted=("$@")
background=()
samples=$(mktemp)
trap 'kill -CONT "${background[@]}" 2>/dev/null || true; kill "${background[@]}" 2>/dev/null || true; rm -f "$samples"' EXIT
mapfile -t pids < <(pids_of)
((${#pids[@]} >= 2)) || { echo "Gateway and workers are not to be seen behind $gateway." >&2; exit 2; }

asked_for() { ((${#wanted[@]} == 0)) || [[ " ${wanted[*]} " == *" $1 "* ]]; }

# part <name> <seconds> <requests a second, 0 = no pace> <threads> <method> <body> <url>
part() {
  THREADS=$4 fire "$2" "$3" "$5" "$6" "$7"
  echo "  $1: taken: $accepted, refused: $refused, other 5xx: $failed, anything else: $other, broken connections: $broken_connections; p50 $p50all ms, p99 $p99all ms"
  check "$failed + $other == 0 && $noRetryAfter == 0" "only 200 or 202, and 503 or 429 with Retry-After"
  check "$broken_connections == 0" "no connection broke or timed out"
  check "$accepted > 0" "something is taken on"
}

# shape <pattern, variant> <method> <body> <url>
shape() {
  echo "$1"
  part "all it can do" 5 0 "$threads" "$2" "$3" "$4"
  local capacity
  capacity=$(awk "BEGIN { printf \"%.0f\", $accepted / ($us / 1e6) }")
  ((capacity > 0)) || return 0
  : >"$samples"
  sample "${pids[@]}" >"$samples" &
  background+=($!)
  part "half of that, $((capacity / 2 + 1)) a second" "$seconds" $((capacity / 2 + 1)) "$threads" "$2" "$3" "$4"
  part "three times the callers" "$seconds" 0 $((3 * threads)) "$2" "$3" "$4"
  kill "${background[-1]}"
  unset "background[-1]"
  local grown
  grown=$(growth "$samples")
  check "$grown > 0 && $grown < 1.15" "memory of gateway and workers is flat: the most that one grew is to $grown of what it was (limit 1.15)"
}

for variant in channel distributed; do
  if asked_for publish-subscribe; then
    topic="$gateway/api/publish-subscribe/$variant/topics/load"
    curl -sN -o /dev/null "$gateway/api/publish-subscribe/$variant/topics/load/stream?overflow=drop-newest" &
    background+=($!)
    curl -sN -o /dev/null "$gateway/api/publish-subscribe/$variant/topics/load/stream?overflow=drop-oldest" &
    background+=($!)
    sleep 1
    kill -STOP "${background[-1]}"
    shape "publish-subscribe, $variant" POST "{\"text\":\"$(printf '%08192d' 0)\"}" "$topic" # more than goes into the buffers of a connection that nobody reads
    ledger=$(curl -sf "$gateway/api/publish-subscribe/$variant/stats" | jq -c '[.ledger.subscriptions[].ledger]')
    echo "  subscribers: $ledger"
    check "$(jq length <<<"$ledger") >= 2" "both subscribers are still there"
    check "$(jq '[.[] | select(.published != .received + .filtered + .dropped + .gap + .waiting)] | length' <<<"$ledger") == 0" "published = received + filtered + dropped + gap + waiting"
    tell "$(jq '[.[] | .dropped + .waiting] | max' <<<"$ledger") > 1024" "the one that stopped reading is further behind than its buffer goes"
    kill -CONT "${background[-1]}"
    kill "${background[@]}"
    background=()
  fi
  if asked_for event-loop; then
    shape "event-loop, $variant" POST '{"events":[{"handler":"tally","body":{"line":"one"}}]}' "$gateway/api/event-loop/$variant/keys/load/events"
    for _ in $(seq 60); do
      stats=$(curl -sf "$gateway/api/event-loop/$variant/stats")
      (($(jq .ledger.waiting <<<"$stats") == 0)) && break
      sleep 1
    done
    echo "  events: $(jq -c .ledger <<<"$stats")"
    check "$(jq 'if .ledger.addsUp and .ledger.waiting == 0 then 1 else 0 end' <<<"$stats") == 1" "accepted = applied + dead + waiting, and nothing waits any more"
  fi
  if asked_for single-flight; then shape "single-flight, $variant" GET '' "$gateway/api/single-flight/$variant/keys/load?work=io:5ms"; fi
  if asked_for deadlines; then shape "deadlines, $variant" GET '' "$gateway/api/deadlines/$variant?work=none"; fi
  if asked_for supervision; then shape "supervision, $variant" GET '' "$gateway/api/supervision/$variant/tree"; fi
  if asked_for producer-consumer; then shape "producer-consumer, $variant" POST '' "$gateway/api/producer-consumer/$variant/runs?count=10&rate=1000"; fi
  if asked_for map-reduce; then shape "map-reduce, $variant" POST '{"job":"word-count","input":"us-constitution.txt"}' "$gateway/api/map-reduce/$variant/jobs"; fi
done
verdict
