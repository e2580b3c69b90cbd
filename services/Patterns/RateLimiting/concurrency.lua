-- Concurrency limit: permits held under leases, waiters served by ticket. Forgets itself: keys live as long as the last lease or place.
-- KEYS: 1 holders(zset member->expiryMs) 2 waiters(zset member->ticket) 3 meta(hash ticket, token, held) 4 seen(zset waiter->expiryMs)
--       5 info(hash member->"weight token", token 0 while it waits)                                                                    {tag}
-- ARGV: 1 op 2 member (new for each acquisition), then
--   try, acquire limit leaseMs waitTtlMs weight -> {1,token,free} held, a retry gives the same | {0,hintMs,free}
--     try never queues and never overtakes waiters. acquire queues: call again within hintMs, sooner on a doorbell; after waitTtlMs the place is lost.
--   extend leaseMs token   -> {1} | {0} lost
--   release token          -> {1,waiting} | {0,waiting} not held: lost, or released before
--   cancel                 -> {1 if it held permits,waiting}: when a waiter gives up, and after a lost reply that may have carried a grant
--   stats                  -> {held,waiting}
-- Guarantee: the weights of live leases never sum to more than limit; a waiter is overtaken by nobody; tokens rise for ever.
local call = redis.call
local HOLDERS, WAITERS, META, SEEN, INFO = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local t = call('TIME')
local us = tonumber(t[1]) * 1000000 + tonumber(t[2])
local now = math.floor(us / 1000)
local function fmt(x) return string.format('%.0f', x) end
local function number(field)                                     -- rises for ever, also over lost state
  local n = fmt(math.max(tonumber(call('HGET', META, field) or '0') + 1, us))
  call('HSET', META, field, n)
  return n
end
local function read(member)
  local weight, token = string.match(call('HGET', INFO, member) or '0 0', '^(%d+) (%d+)$')
  return tonumber(weight), token
end
local function held() return tonumber(call('HGET', META, 'held') or '0') end
local function drop(holder)
  local weight = read(holder)
  call('ZREM', HOLDERS, holder)
  call('HDEL', INFO, holder)
  call('HSET', META, 'held', fmt(math.max(0, held() - weight)))
end
local function keep(ms)
  for _, key in ipairs(KEYS) do
    if call('PTTL', key) < ms then call('PEXPIRE', key, fmt(ms)) end
  end
end
for _, h in ipairs(call('ZRANGEBYSCORE', HOLDERS, '-inf', fmt(now))) do drop(h) end
for _, w in ipairs(call('ZRANGEBYSCORE', SEEN, '-inf', fmt(now), 'LIMIT', 0, 100)) do
  call('ZREM', SEEN, w)
  call('ZREM', WAITERS, w)
  call('HDEL', INFO, w)
end
local op, me = ARGV[1], ARGV[2]

if op == 'try' or op == 'acquire' then
  local limit, lease, ttl, mine = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
  local free = limit - held()
  if call('ZSCORE', HOLDERS, me) then
    local _, token = read(me)
    return {1, token, math.max(0, free)}
  end
  local ahead, line = 0, call('ZRANGE', WAITERS, 0, 99)
  if op == 'acquire' then
    if not call('ZSCORE', WAITERS, me) then
      call('ZADD', WAITERS, number('ticket'), me)
      call('HSET', INFO, me, fmt(mine) .. ' 0')
      if #line < 100 then line[#line + 1] = me end
    end
    call('ZADD', SEEN, fmt(now + ttl), me)
  end
  local myTurn = op == 'try' and #line < 100
  for _, w in ipairs(line) do
    if w == me then myTurn = true break end
    ahead = ahead + read(w)                                      -- only the first result: the weight
  end
  if myTurn and ahead + math.max(1, mine) <= free then
    call('ZREM', WAITERS, me)
    call('ZREM', SEEN, me)
    if mine == 0 then call('HDEL', INFO, me) return {1, '0', free} end
    local token = number('token')
    call('ZADD', HOLDERS, fmt(now + lease), me)
    call('HSET', INFO, me, fmt(mine) .. ' ' .. token)
    call('HSET', META, 'held', fmt(held() + mine))
    keep(math.max(lease, ttl) + 1000)
    return {1, token, math.max(0, free - mine)}
  end
  if op == 'acquire' then keep(ttl + 1000) end
  local hint = math.floor(ttl / 3)
  for _, key in ipairs({HOLDERS, SEEN}) do
    local first = call('ZRANGE', key, 0, 0, 'WITHSCORES')
    if first[2] then hint = math.min(hint, math.floor(tonumber(first[2]) - now)) end
  end
  return {0, math.max(1, hint), math.max(0, free)}
end

if op == 'stats' then return {held(), call('ZCARD', WAITERS)} end

local weight, token = read(me)
local isHeld = call('ZSCORE', HOLDERS, me)
if op == 'cancel' then
  if isHeld then drop(me) else call('ZREM', WAITERS, me) call('ZREM', SEEN, me) call('HDEL', INFO, me) end
  return {isHeld and 1 or 0, call('ZCARD', WAITERS)}
elseif op == 'extend' then
  if not isHeld or token ~= ARGV[4] then return {0} end
  call('ZADD', HOLDERS, fmt(now + tonumber(ARGV[3])), me)
  keep(tonumber(ARGV[3]) + 1000)
  return {1}
elseif op == 'release' then
  local mine = isHeld and token == ARGV[3]
  if mine then drop(me) end
  return {mine and 1 or 0, call('ZCARD', WAITERS)}
end
return redis.error_reply('unknown operation ' .. op)
