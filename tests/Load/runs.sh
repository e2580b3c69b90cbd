#!/usr/bin/env bash
# More pipeline runs and fan-outs than the system takes: 202 or 200, and else 503 with Retry-After; no 500.
# Start the system first: dotnet run --project AppHost. SECONDS_EACH, GATEWAY and THREADS may be set.
source "$(dirname "$0")/common.sh"
need wrk curl jq
local_only "$gateway"
seconds=${SECONDS_EACH:-10}

shape() { # <name> <method> <body> <url>
  fire "$seconds" 0 "$2" "$3" "$4"
  echo "$1: taken: $accepted, refused: $refused, other 5xx: $failed, anything else: $other, broken connections: $broken_connections; refusals' p99 $p99 ms"
  check "$accepted > 0 && $failed + $other == 0" "only 200 or 202, and 503"
  check "$noRetryAfter == 0" "each refusal has Retry-After"
  [[ $4 == *fan-out* ]] || tell "$refused > 0" "more was asked for than is taken"
  check "$broken_connections == 0" "no connection broke or timed out"
}

# Fan-outs answer when they are done, so open connections bound them: none has to be refused.
for variant in channel distributed; do
  shape "fan-out/fan-in, $variant" GET '' "$gateway/api/fan-out-fan-in/$variant?n=16&work=none"
done
# Runs go on after their 202; the next variant starts when they have ended.
for variant in channel distributed; do
  shape "pipeline, $variant" POST '{"pipeline":"unicode","input":"unicode-data"}' "$gateway/api/pipeline/$variant/runs"
  for _ in $(seq 180); do
    open=$(curl -sf "$gateway/api/pipeline/$variant/stats" | jq .open)
    ((open == 0)) && break
    sleep 1
  done
  check "$open == 0" "the runs that were taken have ended"
done
verdict
