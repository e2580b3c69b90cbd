-- Members: heartbeat leases with the instance's address and a start token, so that a restarted instance supersedes its older self.
-- KEYS: 1 beats(zset member->expiryMs) 2 info(hash member->"start address", and the field "" = last start token)   {members}
-- ARGV: 1 op(join|beat|leave|list) 2 member 3 ttlMs 4 address(join) or start(beat, leave) 5 own earlier start, '' the first time(join)
-- join -> {1,start,alive} | {0,other's start,alive}: an earlier start was given and another start has the name: stay out. Without an earlier start
--   join takes the name; with one whose lease only ran out, it goes on under the same start.
-- beat -> {1,start,alive} | {0,current start or '0',alive}: expired or superseded, join again    leave -> {1 or 0,start,alive}
-- list -> { {member,start,address,msLeft}.. } the living only
local call = redis.call
local t = call('TIME')
local us = tonumber(t[1]) * 1000000 + tonumber(t[2])
local now = math.floor(us / 1000)
local function fmt(x) return string.format('%.0f', x) end
local function split(v) return string.match(v or '0 ', '^(%d+) (.*)$') end
local op, me = ARGV[1], ARGV[2]
for _, d in ipairs(call('ZRANGEBYSCORE', KEYS[1], '-inf', fmt(now))) do call('ZREM', KEYS[1], d); call('HDEL', KEYS[2], d) end
if op == 'list' then
  local out, z = {}, call('ZRANGE', KEYS[1], 0, -1, 'WITHSCORES')
  for i = 1, #z, 2 do
    local start, address = split(call('HGET', KEYS[2], z[i]) or nil)
    out[#out + 1] = {z[i], start, address, math.floor(tonumber(z[i + 1]) - now)}
  end
  return out
end
local start, ok = split(call('HGET', KEYS[2], me) or nil), 1
if op == 'join' then
  local mine = ARGV[5] or ''
  if mine ~= '' and start ~= '0' and start ~= mine then return {0, start, call('ZCARD', KEYS[1])} end
  local last = tonumber(call('HGET', KEYS[2], '') or '0')
  if mine ~= '' then start = mine else start = fmt(math.max(last + 1, us)) end
  call('HSET', KEYS[2], '', fmt(math.max(last, tonumber(start))), me, start .. ' ' .. ARGV[4])
  call('ZADD', KEYS[1], fmt(now + tonumber(ARGV[3])), me)
elseif start ~= ARGV[4] then ok = 0
elseif op == 'beat' then call('ZADD', KEYS[1], fmt(now + tonumber(ARGV[3])), me)
else call('ZREM', KEYS[1], me); call('HDEL', KEYS[2], me) end
return {ok, start, call('ZCARD', KEYS[1])}
