#!/usr/bin/env bash
# More pipeline runs and fan-outs than the system takes: 202 or 200, and else 503 with Retry-After; no 500.
# Start the system first: dotnet run --project AppHost. SECONDS_EACH, GATEWAY and THREADS may be set.
source "$(dirname "$0")/common.sh"
need wrk curl jq
local_only "$gateway"
seconds=${SECONDS_EACH:-10}

shape() { # <name> <method> <body> <url> <are refusals a must>
  fire "$seconds" 0 "$2" "$3" "$4"
  echo "$1: taken: $accepted, refused: $refused, other 5xx: $failed, anything else: $other, broken connections: $broken_connections; refusals' p99 $p99 ms"
  check "$accepted > 0 && $failed + $other == 0" "only 200 or 202, and 503"
  check "$noRetryAfter == 0" "each refusal has Retry-After"
  [[ $5 == no ]] || check "$refused > 0" "more than it takes is refused"
  check "$broken_connections == 0" "no connection broke or timed out"
}

for variant in channel distributed; do
  shape "pipeline, $variant" POST '{"pipeline":"unicode","input":"unicode-data"}' "$gateway/api/pipeline/$variant/runs" yes
  shape "fan-out/fan-in, $variant" GET '' "$gateway/api/fan-out-fan-in/$variant?n=16&work=none" no
done
verdict
