-- For wrk: sends POST or GET at a set rate and counts replies by status; prints one line of name=value.
-- One connection a thread, so that each reply belongs to the request before it: wrk's own percentiles mix accepted with refused.
-- Environment: METHOD, BODY (optional), RATE of all threads together a second (0 = as fast as replies come), THREADS.
local ffi = require("ffi")
ffi.cdef [[ typedef struct { long sec; long nsec; } load_time; int clock_gettime(int clock, load_time *time); ]]
local time = ffi.new("load_time")
local function now() -- monotonic milliseconds
  ffi.C.clock_gettime(1, time)
  return tonumber(time.sec) * 1000 + tonumber(time.nsec) / 1e6
end

local threads = {}
function setup(thread)
  thread:set("number", #threads)
  table.insert(threads, thread)
end

function init()
  wrk.method = os.getenv("METHOD") or "GET"
  wrk.body = os.getenv("BODY")
  if wrk.body then wrk.headers["Content-Type"] = "application/json" end
  local rate = tonumber(os.getenv("RATE") or "0")
  interval = rate > 0 and 1000 * tonumber(os.getenv("THREADS")) / rate or 0
  due, sent = now() + number / tonumber(os.getenv("THREADS")) * interval, 0 -- each at another moment, so that they are a rate and no bursts
  accepted, refused, failed, other, noRetryAfter = 0, 0, 0, 0, 0
  late, all = {}, {}
end

function delay()
  if interval == 0 then return 0 end
  due = due + interval
  return math.max(0, math.floor(due - now()))
end

function request()
  sent = now()
  return wrk.format()
end

function response(status, headers)
  local slot = math.ceil((now() - sent) * 10) -- tenths of a millisecond
  all[slot] = (all[slot] or 0) + 1
  if status == 200 or status == 202 then accepted = accepted + 1
  elseif status == 503 or status == 429 then
    refused = refused + 1
    if not headers["Retry-After"] then noRetryAfter = noRetryAfter + 1 end
    late[slot] = (late[slot] or 0) + 1
  elseif status >= 500 then failed = failed + 1
  else other = other + 1 end
end

local function percentiles(name)
  local slots, order, total, passed, p50, p99 = {}, {}, 0, 0, nil, nil
  for _, thread in ipairs(threads) do
    for slot, count in pairs(thread:get(name)) do
      slots[slot] = (slots[slot] or 0) + count
      total = total + count
    end
  end
  for slot in pairs(slots) do table.insert(order, slot) end
  table.sort(order)
  for _, slot in ipairs(order) do
    passed = passed + slots[slot]
    if not p50 and passed >= total * 0.50 then p50 = slot / 10 end
    if not p99 and passed >= total * 0.99 then p99 = slot / 10 end
  end
  return p50 or 0, p99 or 0
end

function done(summary)
  local line = {}
  for _, name in ipairs({"accepted", "refused", "failed", "other", "noRetryAfter"}) do
    local sum = 0
    for _, thread in ipairs(threads) do sum = sum + thread:get(name) end
    table.insert(line, string.format("%s=%d", name, sum))
  end
  local e = summary.errors
  table.insert(line, string.format("broken_connections=%d us=%d", e.connect + e.read + e.write + e.timeout, summary.duration))
  table.insert(line, string.format("p50=%.1f p99=%.1f", percentiles("late")))
  table.insert(line, string.format("p50all=%.1f p99all=%.1f", percentiles("all")))
  print("RESULT " .. table.concat(line, " "))
end
