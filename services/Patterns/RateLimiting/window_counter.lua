-- Sliding window counter (two fixed windows, the last one weighted evenly: approximate, O(1)). All compares in integers of 1/windowMs.
-- KEYS: 1 string "index cur prev"      ARGV: 1 limit 2 windowMs 3 cost (0 asks whether 1 is there)      (limit*windowMs < 2^53)
-- -> {allowed, remaining, retryAfterMs}      retryAfterMs: -1 allowed, -2 never (cost > limit), else exact if nobody else is admitted meanwhile
-- One write a decision, so there is no half of one. A lost reply costs its permits.
local limit, w, take = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local cost = math.max(1, take)
local function fmt(x) return string.format('%.0f', x) end
local t = redis.call('TIME')
local now = tonumber(t[1]) * 1000 + math.floor(tonumber(t[2]) / 1000)
local idx = math.floor(now / w)
local into = now - idx * w
local i, cur, prev = string.match(redis.call('GET', KEYS[1]) or '-1 0 0', '^(-?%d+) (%d+) (%d+)$')
i, cur, prev = tonumber(i), tonumber(cur), tonumber(prev)
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
redis.call('SET', KEYS[1], fmt(idx) .. ' ' .. fmt(cur + cost) .. ' ' .. fmt(prev), 'PX', fmt(2 * w))
return {1, math.floor((limit * w - used - cost * w) / w), -1}
