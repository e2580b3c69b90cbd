#!/usr/bin/env bash
# More callers than connections, in both variants: everybody gets one in turn, within the limit, and the ledgers add up afterwards.
# Start the system first: dotnet run --project AppHost. SECONDS_EACH, GATEWAY and THREADS may be set.
source "$(dirname "$0")/common.sh"
need wrk curl jq
local_only "$gateway"
seconds=${SECONDS_EACH:-10}

for variant in channel distributed; do
  fire "$seconds" 0 GET '' "$gateway/api/resource-pooling/$variant?hold=5ms&timeout=5s"
  echo "pooled uses, $variant: used: $accepted, refused: $refused, other 5xx: $failed, anything else: $other, broken connections: $broken_connections; p50 $p50all ms, p99 $p99all ms"
  check "$accepted > 0 && $refused + $failed + $other == 0" "everybody got a connection"
  check "$broken_connections == 0" "no connection broke or timed out"
  for _ in $(seq 50); do
    stats=$(curl -sf "$gateway/api/resource-pooling/$variant/stats")
    active=$(jq '[.processes[].pool.ledger.active] | add' <<<"$stats")
    ((active == 0)) && break
    sleep 0.1
  done
  check "$active == 0" "all loans came back"
  check "$(jq '[.processes[].pool.ledger | select(.acquired != .returned + .active or .opened != .open + .closed)] | length' <<<"$stats") == 0" "acquired = returned + active, opened = open + closed"
  check "$(jq '[.processes[].pool.permits // empty | select(.granted != .held + .released + .expired or .held > .limit)] | length' <<<"$stats") == 0" "granted = held + released + expired, no more than the limit"
done
verdict
