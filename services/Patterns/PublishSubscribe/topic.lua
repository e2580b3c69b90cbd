-- A topic's log: retained, ordered, with replay, and the relays of its groups. Afterwards, by the client and outside the script: PUBLISH {tag}:bell.
-- KEYS: 1 log(zset place->"place:n:message") 2 meta(hash gen, seq, n; p:<publisher>->"number:gen:n:place" of its last call;
--         groups, g:<group>->"owner untilMs position") 3 seen(zset publisher->lastMs)   {tag}
-- n counts 1,2,3.. within a generation `gen`, which is a new one when the topic was lost. place = max(last + 1, server microseconds) only rises, also when a
-- lost end of the log gives an n out again.
-- One HSET of meta commits an append: entries behind meta's seq were left by a server that died in the midst of one. They are not read, and the next append
-- removes them.
-- append: 2 retain 3 publisher 4 number 5 publisherTtlMs 6.. messages -> {1,gen,n,place} | {2,gen,n,place}=the same call again | {-1}=not its next number
--         number: 1,2,3.. per publisher, one per call, the next only after this one is answered; after -1: a new publisher name, from 1
-- read:   2 afterPlace 3 count -> {gen, headN, headPlace, "place:n:message"..}
-- last:   2 count -> {gen,n,place} to read behind, for the last so many; count 0: the head
-- relay:  2 group 3 owner 4 leaseMs 5 position("gen-n-place", or '' = only ask) 6 most groups -> {1,position}=mine, and kept | {0,position,msLeft}=another's
--         | {-1}=too many groups. A position counts from who has the lease alone; a group begins at the head.
local call = redis.call
local function fmt(x) return string.format('%.0f', x) end
local op, log, meta, seen = ARGV[1], KEYS[1], KEYS[2], KEYS[3]
local m = call('HMGET', meta, 'gen', 'seq', 'n')
local gen, seq, n = m[1] or '0', m[2] or '0', m[3] or '0'

if op == 'read' then
  local out = {gen, n, seq}
  if tonumber(seq) > tonumber(ARGV[2]) then
    for _, entry in ipairs(call('ZRANGEBYSCORE', log, '(' .. ARGV[2], seq, 'LIMIT', 0, ARGV[3])) do out[#out + 1] = entry end
  end
  return out
end

if op == 'last' then
  local count = tonumber(ARGV[2])
  if count == 0 or n == '0' then return {gen, n, seq} end
  local first = call('ZRANGE', log, -count, -count)[1] or call('ZRANGE', log, 0, 0)[1]
  if not first then return {gen, n, seq} end
  local place, number = string.match(first, '^(%d+):(%d+):')
  return {gen, fmt(tonumber(number) - 1), fmt(tonumber(place) - 1)}
end

local t = call('TIME')
local us = tonumber(t[1]) * 1000000 + tonumber(t[2])
local ms = math.floor(us / 1000)

if op == 'relay' then
  local field, owner, position = 'g:' .. ARGV[2], ARGV[3], ARGV[5]
  local kept = call('HGET', meta, field)
  local groups = tonumber(call('HGET', meta, 'groups') or '0')
  if not kept then
    if groups >= tonumber(ARGV[6]) then return {-1} end
    groups = groups + 1
    position = gen .. '-' .. n .. '-' .. seq
  else
    local holder, till, at = string.match(kept, '^(%S+) (%d+) (%S+)$')
    if holder ~= owner and tonumber(till) > ms then return {0, at, fmt(tonumber(till) - ms)} end
    if holder ~= owner or position == '' then position = at end
  end
  call('HSET', meta, field, owner .. ' ' .. fmt(ms + tonumber(ARGV[4])) .. ' ' .. position, 'groups', fmt(groups))
  return {1, position}
end

local who, number = ARGV[3], tonumber(ARGV[4])
local last = call('HGET', meta, 'p:' .. who)
local done = 0
if last then
  local d, g, k, p = string.match(last, '^(%d+):(%d+):(%d+):(%d+)$')
  done = tonumber(d)
  if number == done then return {2, g, k, p} end
end
if number ~= done + 1 then return {-1} end
if gen == '0' then gen = fmt(us) end
call('ZREMRANGEBYSCORE', log, '(' .. seq, '+inf')
for i = 6, #ARGV do
  seq = fmt(math.max(tonumber(seq) + 1, us))
  n = fmt(tonumber(n) + 1)
  call('ZADD', log, seq, seq .. ':' .. n .. ':' .. ARGV[i])
end
call('HSET', meta, 'gen', gen, 'seq', seq, 'n', n, 'p:' .. who, fmt(number) .. ':' .. gen .. ':' .. n .. ':' .. seq)
call('ZADD', seen, fmt(ms), who)
call('ZREMRANGEBYRANK', log, 0, -(tonumber(ARGV[2]) + 1))
for _, silent in ipairs(call('ZRANGEBYSCORE', seen, '-inf', fmt(ms - tonumber(ARGV[5])), 'LIMIT', 0, 10)) do
  call('HDEL', meta, 'p:' .. silent)
  call('ZREM', seen, silent)
end
return {1, gen, n, seq}
