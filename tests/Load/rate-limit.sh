#!/usr/bin/env bash
# One limit over two gateways, one of which is killed and started again: admitted <= burst + rate x time, by the time of Redis.
# Then: who waits exactly retryAfterMs is admitted, and who comes earlier is not. Starts its own redis-server and gateways; nothing else has to run.
source "$(dirname "$0")/common.sh"
need wrk curl jq redis-server redis-cli dotnet
redis_port=${REDIS_PORT:-6397}
ports=("${PORT_A:-5097}" "${PORT_B:-5098}")
permits=50 burst=100
folder=$(mktemp -d)
declare -A pid_of
trap 'kill "${pid_of[@]}" 2>/dev/null || true; wait 2>/dev/null || true; rm -rf "$folder"' EXIT

dotnet build "$root/services/Gateway" -v q -clp:NoSummary >"$folder/build" || { cat "$folder/build"; exit 2; }
for port in "$redis_port" "${ports[@]}"; do
  ! (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || { echo "Port $port is in use; set REDIS_PORT, PORT_A or PORT_B." >&2; exit 2; }
done
redis-server --port "$redis_port" --bind 127.0.0.1 --save '' --appendonly no --dir "$folder" >/dev/null &
pid_of[redis]=$!
cli() { redis-cli -p "$redis_port" "$@"; }
server_us() { cli TIME | paste -sd ' ' | awk '{ printf "%d%06d", $1, $2 }'; }

# Closed: what Redis has not counted is not admitted, so the bound is exact. Borrowing is off unless set.
start() {
  ConnectionStrings__redis="127.0.0.1:$redis_port" Data__Path="$folder" Patterns__RateLimiting__Permits=$permits Patterns__RateLimiting__Burst=$burst \
    Patterns__RateLimiting__Redis__WhenDown=Closed dotnet "$root/services/Gateway/bin/Debug/net10.0/Gateway.dll" --urls "http://127.0.0.1:$1" >"$folder/$1.log" 2>&1 &
  pid_of[$1]=$!
}
ready() {
  for _ in $(seq 300); do curl -sf -o /dev/null "http://127.0.0.1:$1/health" && return; sleep 0.2; done
  echo "The gateway on port $1 is not healthy:" >&2; tail -5 "$folder/$1.log" >&2; exit 2
}
url() { echo "http://127.0.0.1:$1/api/rate-limiting/distributed?algorithm=gcra&key=$2"; }
load() { THREADS=8 fire "$2" 0 GET '' "$(url "$1" "$key")"; echo "$accepted $refused $failed $other $noRetryAfter"; }

for port in "${ports[@]}"; do start "$port"; done
for port in "${ports[@]}"; do ready "$port"; done

key=load-$$
echo "two gateways, $permits a second and a burst of $burst together; the second is killed and started again"
from=$(server_us)
(load "${ports[0]}" 20 >"$folder/a") & loadA=$!
(load "${ports[1]}" 8 >"$folder/b1") & loadB=$!
sleep 5
kill -9 "${pid_of[${ports[1]}]}"
wait "${pid_of[${ports[1]}]}" 2>/dev/null || true
wait $loadB || true
start "${ports[1]}"
ready "${ports[1]}"
load "${ports[1]}" 6 >"$folder/b2"
wait $loadA
to=$(server_us)
read -r admitted refused failed other noRetryAfter < <(awk '{ for (i = 1; i <= 5; i++) s[i] += $i } END { print s[1], s[2], s[3], s[4], s[5] }' "$folder/a" "$folder/b1" "$folder/b2")
bound=$((burst + permits * (to - from) / 1000000))
echo "  admitted $admitted, refused $refused in $(((to - from) / 1000)) ms of server time; the bound is $bound"
check "$(wc -l < <(cat "$folder/a" "$folder/b1" "$folder/b2")) == 3" "all three loads ran"
check "$admitted <= $bound" "admitted <= burst + rate x time"
tell "$admitted >= 0.8 * $bound" "the limit is used, not only kept"
check "$failed + $other == 0 && $noRetryAfter == 0" "only 200 and refusals, each with Retry-After"

turns=8
echo "Retry-After, $turns times, asked of one gateway and then of the other"
ms() { echo $(($(date +%s%N) / 1000000)); }
ask() { curl -s -m 10 "$(url "$1" "$key")&cost=$2" -o "$folder/body" -w '%{http_code}'; }
early=0 obeyed=0 unusual=0
for turn in $(seq $turns); do
  one=${ports[$((turn % 2))]} two=${ports[$(((turn + 1) % 2))]} key=retry-$$-$turn
  asked=$(ms)
  replies="$(ask "$one" $burst) $(ask "$one" $burst)"
  [[ $replies == "200 429" ]] || { unusual=$((unusual + 1)); echo "  instead of 200 and 429: $replies"; continue; }
  told=$(ms) wait_ms=$(jq .retryAfterMs "$folder/body")
  # Too early for certain is who has the answer before the time told is over, counted from before the question.
  if [[ $(ask "$two" $burst) == 200 ]] && (($(ms) - asked < wait_ms)); then early=$((early + 1)); continue; fi
  left=$((wait_ms - ($(ms) - told)))
  ((left <= 0)) || sleep "$(awk "BEGIN { print $left / 1000 }")"
  if [[ $(ask "$two" $burst) == 200 ]]; then obeyed=$((obeyed + 1)); fi
done
tell "$unusual == 0" "a full burst is admitted and the next one refused within the time in which it is earned again (not so: $unusual)"
check "$early == 0" "nobody is admitted before the time that was told (so: $early)"
check "$obeyed + $unusual + $early == $turns" "who waits as long as told is admitted (so: $obeyed of $((turns - unusual - early)))"
verdict
