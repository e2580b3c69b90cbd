-- Who owns which partition of the event loop. Cooperative: nothing is taken from an owner that renews. What a partition holds is elsewhere: partition_log.lua.
-- KEYS: 1 owner(hash p->worker) 2 epoch(hash p->epoch, kept; the field "count" = how many partitions there are) 3 lease(zset p->expiryMs) 4 members(zset worker->expiryMs)
-- ARGV: 1 op(beat|drop|leave|list) 2 worker(name + start token) 3 partitionCount 4 leaseMs ; drop: 5 partition 6 epoch
-- any   -> {-1,count}: there is another number of partitions already, and keys belong to them by it
-- beat  -> { {p,epoch,..} owned , {p,epoch,..} surplus: finish the event in hand, then drop }: what is not in `owned` any more, or with another epoch, is lost
-- drop  -> {1} | {0} not the worker's with this epoch (a retry gets 0)
-- leave -> {1}: the others' shares grow; leases that it still has are renewed. Repeat until all are dropped
-- list  -> { {epoch,owner or '',msLeft}.. } by partition
-- Torn after any write (a killed Garnet): an epoch without an owner, or an owner without a lease, is free and gets a higher epoch.
local call = redis.call
local OWNER, EPOCH, LEASE, MEMBERS = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local t = call('TIME')
local us = tonumber(t[1]) * 1000000 + tonumber(t[2])
local now = math.floor(us / 1000)
local function fmt(x) return string.format('%.0f', x) end
local op, me, P = ARGV[1], ARGV[2], tonumber(ARGV[3])
local till = fmt(now + tonumber(ARGV[4]))
local count = call('HGET', EPOCH, 'count')
if not count then call('HSET', EPOCH, 'count', ARGV[3])
elseif tonumber(count) ~= P then return {-1, tonumber(count)} end

if op == 'drop' then
  if call('HGET', OWNER, ARGV[5]) ~= me or call('HGET', EPOCH, ARGV[5]) ~= ARGV[6] then return {0} end
  call('HDEL', OWNER, ARGV[5]); call('ZREM', LEASE, ARGV[5])
  return {1}
end
if op == 'list' then
  local out = {}
  for p = 0, P - 1 do
    local ps = fmt(p)
    local left = tonumber(call('ZSCORE', LEASE, ps) or '0') - now
    local owner = call('HGET', OWNER, ps)
    out[#out + 1] = {call('HGET', EPOCH, ps) or '0', left > 0 and owner or '', math.max(0, math.floor(left))}
  end
  return out
end

call('ZREMRANGEBYSCORE', MEMBERS, '-inf', fmt(now))
if op == 'leave' then call('ZREM', MEMBERS, me) else call('ZADD', MEMBERS, till, me) end
local names, share = call('ZRANGE', MEMBERS, 0, -1), 0
table.sort(names)
for i, n in ipairs(names) do
  if n == me then share = math.floor(P / #names) + (i <= P % #names and 1 or 0) end
end
local owned, surplus, free, mine = {}, {}, {}, 0
for p = 0, P - 1 do
  local ps = fmt(p)
  if tonumber(call('ZSCORE', LEASE, ps) or '0') <= now then free[#free + 1] = ps     -- a lease of my own that ran out needs a new epoch as well
  elseif call('HGET', OWNER, ps) == me then
    local e = call('HGET', EPOCH, ps)
    mine = mine + 1
    call('ZADD', LEASE, till, ps)
    owned[#owned + 1] = ps; owned[#owned + 1] = e
    if mine > share then surplus[#surplus + 1] = ps; surplus[#surplus + 1] = e end
  end
end
if op == 'leave' then return {1} end
for i, ps in ipairs(free) do
  if mine + i > share then break end
  local e = fmt(math.max(tonumber(call('HGET', EPOCH, ps) or '0') + 1, us))           -- never given twice, also not after lost data
  call('HSET', EPOCH, ps, e); call('HSET', OWNER, ps, me); call('ZADD', LEASE, till, ps)
  owned[#owned + 1] = ps; owned[#owned + 1] = e
end
return {owned, surplus}
