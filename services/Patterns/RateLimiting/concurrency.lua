-- Concurrency limit: permits held under leases, waiters served by ticket. Forgets itself: keys live as long as the last lease or place.
-- KEYS: 1 info(hash: member->"weight token", token 0 while it waits; '#held' '#ticket' '#token') 2 holders(zset member->expiryMs)
--       3 waiters(zset member->ticket) 4 seen(zset waiter->expiryMs)                                                             {tag}
-- ARGV: 1 op 2 member (new for each acquisition), then
--   try, acquire limit leaseMs waitTtlMs weight -> {1,token,free} held, a retry gives the same | {0,hintMs,free}
--     try never queues and never overtakes waiters. acquire queues: call again within hintMs, sooner on a doorbell; after waitTtlMs the place is lost.
--   extend leaseMs token   -> {1} | {0} lost
--   release token          -> {1,waiting} | {0,waiting} not held: lost, or released before
--   cancel                 -> {1 if it held permits,waiting}: when a waiter gives up, and after a lost reply that may have carried a grant
--   stats                  -> {held,waiting}
-- Guarantee: the weights of live leases never sum to more than limit; a waiter is overtaken by nobody; tokens rise for ever.
-- A killed Garnet can keep the first writes of its last script without the rest. So info is the truth, changed by one HSET; an index entry is added
-- before it and taken away after it, and one that the truth does not know is passed over and runs out.
local call = redis.call
local INFO, HOLDERS, WAITERS, SEEN = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local t = call('TIME')
local us = tonumber(t[1]) * 1000000 + tonumber(t[2])
local now = math.floor(us / 1000)
local function fmt(x) return string.format('%.0f', x) end
local function field(name) return tonumber(call('HGET', INFO, name) or '0') end
local function next_(name) return fmt(math.max(field(name) + 1, us)) end  -- rises for ever, also over lost state
local function read(member)
  local weight, token = string.match(call('HGET', INFO, member) or '0 0', '^(%d+) (%d+)$')
  return tonumber(weight), token
end
local function drop(holder)
  local weight, token = read(holder)
  if token ~= '0' then call('HSET', INFO, holder, '0 0', '#held', fmt(field('#held') - weight)) end
  if call('ZSCORE', WAITERS, holder) == false or token ~= '0' then call('HDEL', INFO, holder) end
  call('ZREM', HOLDERS, holder)
end
local function leave(waiter)
  local _, token = read(waiter)
  if token == '0' then call('HDEL', INFO, waiter) end
  call('ZREM', WAITERS, waiter)
  call('ZREM', SEEN, waiter)
end
local function keep(ms)
  for _, key in ipairs(KEYS) do
    if call('PTTL', key) < ms then call('PEXPIRE', key, fmt(ms)) end
  end
end
for _, h in ipairs(call('ZRANGEBYSCORE', HOLDERS, '-inf', fmt(now))) do drop(h) end
for _, w in ipairs(call('ZRANGEBYSCORE', SEEN, '-inf', fmt(now), 'LIMIT', 0, 100)) do leave(w) end
local op, me = ARGV[1], ARGV[2]
local weight, token = read(me)

if op == 'try' or op == 'acquire' then
  local limit, lease, ttl, mine = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
  local held = field('#held')
  local free = limit - held
  if token ~= '0' then return {1, token, math.max(0, free)} end
  if op == 'acquire' then
    call('ZADD', SEEN, fmt(now + ttl), me)
    if not call('ZSCORE', WAITERS, me) then
      local ticket = next_('#ticket')
      call('HSET', INFO, me, fmt(mine) .. ' 0', '#ticket', ticket)
      call('ZADD', WAITERS, ticket, me)
    end
    keep(ttl + 1000)
  end
  local ahead, line = 0, call('ZRANGE', WAITERS, 0, 99)
  local myTurn = op == 'try' and #line < 100
  for _, w in ipairs(line) do
    if w == me then myTurn = true break end
    local its, granted = read(w)
    if granted == '0' then ahead = ahead + its else leave(w) end
  end
  if myTurn and ahead + math.max(1, mine) <= free then
    if mine == 0 then leave(me) return {1, '0', free} end
    token = next_('#token')
    call('ZADD', HOLDERS, fmt(now + lease), me)
    call('HSET', INFO, me, fmt(mine) .. ' ' .. token, '#held', fmt(held + mine), '#token', token)
    call('ZREM', WAITERS, me)
    call('ZREM', SEEN, me)
    keep(math.max(lease, ttl) + 1000)
    return {1, token, math.max(0, free - mine)}
  end
  local hint = math.floor(ttl / 3)
  for _, key in ipairs({HOLDERS, SEEN}) do
    local first = call('ZRANGE', key, 0, 0, 'WITHSCORES')
    if first[2] then hint = math.min(hint, math.floor(tonumber(first[2]) - now)) end
  end
  return {0, math.max(1, hint), math.max(0, free)}
end

if op == 'stats' then return {field('#held'), call('ZCARD', WAITERS)} end
local held = token ~= '0'
if op == 'cancel' then
  if held then drop(me) end
  leave(me)
  return {held and 1 or 0, call('ZCARD', WAITERS)}
elseif op == 'extend' then
  if not held or token ~= ARGV[4] then return {0} end
  call('ZADD', HOLDERS, fmt(now + tonumber(ARGV[3])), me)
  keep(tonumber(ARGV[3]) + 1000)
  return {1}
elseif op == 'release' then
  local mine = held and token == ARGV[3]
  if mine then drop(me) end
  return {mine and 1 or 0, call('ZCARD', WAITERS)}
end
return redis.error_reply('unknown operation ' .. op)
