#!/usr/bin/env bash
# Jobs at three times what the pool can do, in both variants: 202 or 503 with Retry-After, refused fast, no memory gained, no job lost.
# Start the system first: dotnet run --project AppHost. Takes about two minutes. SECONDS_EACH, P99_MS, GATEWAY and THREADS may be set.
source "$(dirname "$0")/common.sh"
need wrk curl jq ss pgrep
local_only "$gateway"
curl -sf -o /dev/null "$gateway/alive" || { echo "Nothing is alive at $gateway." >&2; exit 2; }
seconds=${SECONDS_EACH:-30}
p99_limit=${P99_MS:-10}
work=io:100ms
jobs_of_one=10 # a second

for variant in channel distributed; do
  jobs="$gateway/api/worker-pool/$variant/jobs?work=$work"
  stats="$gateway/api/worker-pool/$variant/stats"
  before=$(curl -sf "$stats")
  capacity=$(jq "[.workers[].size] | add * $jobs_of_one" <<<"$before")
  echo "$variant: $capacity jobs a second can be done; $((3 * capacity)) are submitted, for $seconds s"

  mapfile -t pids < <(pids_of)
  ((${#pids[@]} >= 2)) || { echo "Gateway and workers are not to be seen behind $gateway." >&2; exit 2; }
  # What this machine and this gateway take at the same pace for a GET that does nothing: what is slow there is not slow because of the pool.
  fire 5 $((3 * capacity)) GET '' "$gateway/alive"
  idle=$p99all
  echo "  GET /alive at that pace: p50 $p50all ms, p99 $idle ms"
  fire 3 0 POST '' "$jobs" # fills the queue
  taken=$accepted failed_before=$((failed + other + noRetryAfter))
  samples=$(mktemp)
  sample "${pids[@]}" >"$samples" &
  sampler=$!
  trap 'kill $sampler 2>/dev/null || true; rm -f "$samples"' EXIT
  fire "$seconds" $((3 * capacity)) POST '' "$jobs"
  kill $sampler
  wait $sampler 2>/dev/null || true

  for _ in $(seq 120); do
    after=$(curl -sf "$stats")
    (($(jq '.ledger.queued + .ledger.running' <<<"$after") == 0)) && break
    sleep 1
  done
  submitted=$(jq -n --argjson a "$after" --argjson b "$before" '$a.ledger.submitted - $b.ledger.submitted')
  ended=$(jq -n --argjson a "$after" --argjson b "$before" '$a.ledger.done - $b.ledger.done')

  offered=$(awk "BEGIN { printf \"%.2f\", ($accepted + $refused) / ($us / 1e6) / $capacity }")
  echo "  202: $accepted, 503: $refused, other 5xx: $failed, anything else: $other, broken connections: $broken_connections; offered $offered x capacity"
  echo "  refusals: p50 $p50 ms, p99 $p99 ms; of the $submitted jobs that were taken on $ended are done"
  tell "$offered >= 2.7" "about three times the capacity was offered"
  check "$failed + $other + $failed_before == 0" "only 202 and 503"
  check "$noRetryAfter == 0 && $refused > 0" "jobs were refused, each with Retry-After"
  check "$broken_connections == 0" "no connection broke or timed out"
  if awk "BEGIN { exit !($p99 < $p99_limit || $idle < $p99_limit) }"; then
    check "$p99 < $p99_limit" "p99 of refusals is below $p99_limit ms"
  else
    tell "$idle < $p99_limit" "a GET that does nothing has its p99 below $p99_limit ms, so that refusals can be judged"
  fi
  check "$submitted >= $taken + $accepted && $ended == $submitted" "each job that got 202 is done"
  growth=$(growth "$samples")
  check "$growth > 0 && $growth < 1.15" "memory of gateway and workers is flat: the most that one grew is to $growth of what it was (limit 1.15)"
  rm -f "$samples"
done
verdict
