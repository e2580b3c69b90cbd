-- Sliding window counter (two fixed windows, the last one weighted evenly: approximate, O(1)). All compares in integers of 1/windowMs.
-- KEYS: 1 hash i,cur,prev      ARGV: 1 limit 2 windowMs 3 cost (0 asks whether 1 is there)      (limit*windowMs < 2^53)
-- -> {allowed, remaining, retryAfterMs}      retryAfterMs: -1 allowed, -2 never (cost > limit), else exact if nobody else is admitted meanwhile
local limit, w, take = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local cost = math.max(1, take)
local function fmt(x) return string.format('%.0f', x) end
local t = redis.call('TIME')
local now = tonumber(t[1]) * 1000 + math.floor(tonumber(t[2]) / 1000)
local idx = math.floor(now / w); local into = now - idx * w
local h = redis.call('HMGET', KEYS[1], 'i', 'cur', 'prev')
local i, cur, prev = tonumber(h[1] or '-1'), tonumber(h[2] or '0'), tonumber(h[3] or '0')
if i == idx + 1 then idx, into = i, 0 end                                     -- the server clock stepped back
if i == idx - 1 then prev, cur = cur, 0 elseif i ~= idx then prev, cur = 0, 0 end
local used = cur * w + prev * (w - into)
local left = math.max(0, math.floor((limit * w - used) / w))
if cost > limit then return {0, left, -2} end
if used + cost * w > limit * w then
  if cur + cost <= limit then return {0, left, math.ceil((used + cost * w - limit * w) / prev)} end    -- the last window's share has to fade
  return {0, left, (w - into) + math.ceil((cur + cost - limit) * w / cur)}                               -- this window alone is over: fades in the next
end
if take == 0 then return {1, left, -1} end
redis.call('HSET', KEYS[1], 'i', fmt(idx), 'cur', fmt(cur + cost), 'prev', fmt(prev))
redis.call('PEXPIRE', KEYS[1], fmt(2 * w))
return {1, math.floor((limit * w - used - cost * w) / w), -1}
