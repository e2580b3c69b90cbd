-- Sliding window log: exact, memory O(limit).
-- KEYS: 1 zset "requestId:i" -> microseconds      ARGV: 1 limit 2 windowMs 3 cost (0 asks whether 1 is there) 4 requestId (unique; the same id again is the same admission)
-- -> {allowed, remaining, retryAfterUs}      retryAfterUs: -1 allowed, -2 never (cost > limit), else exact if nobody else is admitted meanwhile
-- A request counts as admitted by its entry 1, written last: a killed Garnet can keep the first writes of its last script without the rest,
-- and then the same request is decided anew.
local limit, w, take, id = tonumber(ARGV[1]), tonumber(ARGV[2]) * 1000, tonumber(ARGV[3]), ARGV[4]
local cost = math.max(1, take)
local function fmt(x) return string.format('%.0f', x) end
local t = redis.call('TIME')
local now = tonumber(t[1]) * 1000000 + tonumber(t[2])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', fmt(now - w))
local n = redis.call('ZCARD', KEYS[1])
if redis.call('ZSCORE', KEYS[1], id .. ':1') then return {1, math.max(0, limit - n), -1} end
if cost > limit then return {0, math.max(0, limit - n), -2} end
local over = n + cost - limit
if over > 0 then
  local z = redis.call('ZRANGE', KEYS[1], over - 1, over - 1, 'WITHSCORES')    -- when this one has left there is room
  return {0, math.max(0, limit - n), math.floor(tonumber(z[2]) + w - now)}
end
if take == 0 then return {1, limit - n, -1} end
local i = cost
while i > 0 do
  local entries = {}
  for _ = 1, math.min(i, 500) do
    entries[#entries + 1] = fmt(now)
    entries[#entries + 1] = id .. ':' .. fmt(i)
    i = i - 1
  end
  redis.call('ZADD', KEYS[1], (unpack or table.unpack)(entries))
end
redis.call('PEXPIRE', KEYS[1], fmt(w / 1000 + 1))
return {1, limit - n - cost, -1}
