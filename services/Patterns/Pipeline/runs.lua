-- Runs of distributed pipelines: who drives which run, under which epoch, how far it is, how it ended.
-- KEYS: 1 request(hash id->JSON) 2 lease(zset of open runs, id->expiryMs) 3 state(hash id->"epoch attempts stop")
--       4 status(hash id->JSON) 5 ended(zset id->endedMs)                                            {tag}
-- ARGV: 1 op 2 id, then
--   create request maxRuns keepMs -> {1} | {2} the id exists | {0,open} full
--   claim  leaseMs keepMs         -> {id,epoch,attempts,stop,request} the oldest run that nobody drives | {} none       (id is not used)
--   renew  epoch leaseMs status   -> {1,stop} | {0} another epoch, or ended: stop driving. An expired lease that nobody took can be renewed.
--   replay epoch                  -> {1,new epoch} | {0}
--   finish epoch status           -> {1}, also on a retry | {0} fenced
--   release epoch                 -> {1} open to others at once, the attempt not counted | {0}
--   stop   how(1 drain, 2 abort) status -> {1} the driver will see it | {2} nobody drives it: ended with status | {3} has ended | {0} unknown
--   get                           -> {request,status or '',open 0|1,epoch,attempts,msLeft of the lease,stop} | {} unknown
-- Guarantee: epochs rise for ever; renew, replay, finish and release act for the newest epoch only.
-- A killed Garnet can keep the first writes of its last script without the rest. So each operation adds to an index before it writes what counts and
-- takes away after it, and the same call again completes what was left.
local call = redis.call
local t = call('TIME')
local us = tonumber(t[1]) * 1000000 + tonumber(t[2])
local now = math.floor(us / 1000)
local function fmt(x) return string.format('%.0f', x) end
local op, id = ARGV[1], ARGV[2]

local function read(run)
  local epoch, attempts, stop = string.match(call('HGET', KEYS[3], run) or '0 0 0', '^(%d+) (%d+) (%d+)$')
  return tonumber(epoch), tonumber(attempts), tonumber(stop)
end
local function write(run, epoch, attempts, stop)
  call('HSET', KEYS[3], run, fmt(epoch) .. ' ' .. fmt(attempts) .. ' ' .. fmt(stop))
end
local function forget(keepMs)
  for _, old in ipairs(call('ZRANGEBYSCORE', KEYS[5], '-inf', fmt(now - keepMs), 'LIMIT', 0, 100)) do
    for key = 1, 4 do if key ~= 2 then call('HDEL', KEYS[key], old) end end
    call('ZREM', KEYS[5], old)
  end
end
local function finish(status)
  call('HSET', KEYS[4], id, status)
  call('ZADD', KEYS[5], fmt(now), id)
  call('ZREM', KEYS[2], id)
end

if op == 'create' then
  forget(tonumber(ARGV[5]))
  if call('HEXISTS', KEYS[1], id) == 1 then return {2} end
  local open = call('ZCARD', KEYS[2])
  if open >= tonumber(ARGV[4]) then return {0, open} end
  call('ZADD', KEYS[2], fmt(now), id)
  call('HSET', KEYS[1], id, ARGV[3])
  return {1}
end

if op == 'claim' then
  forget(tonumber(ARGV[4]))
  local run, request
  repeat
    run = call('ZRANGEBYSCORE', KEYS[2], '-inf', fmt(now), 'LIMIT', 0, 1)[1]
    if not run then return {} end
    request = call('HGET', KEYS[1], run)
    if not request then call('ZREM', KEYS[2], run) end -- half a 'create'
  until request
  local epoch, attempts, stop = read(run)
  epoch = math.max(epoch + 1, us)
  write(run, epoch, attempts + 1, stop)
  call('ZADD', KEYS[2], fmt(now + tonumber(ARGV[3])), run)
  return {run, fmt(epoch), attempts + 1, stop, request}
end

if op == 'get' then
  local request = call('HGET', KEYS[1], id)
  if not request then return {} end
  local epoch, attempts, stop = read(id)
  local lease = call('ZSCORE', KEYS[2], id)
  return {request, call('HGET', KEYS[4], id) or '', lease and 1 or 0, fmt(epoch), attempts, lease and math.floor(tonumber(lease) - now) or 0, stop}
end

local lease = call('ZSCORE', KEYS[2], id)
local epoch, attempts, stop = read(id)

if op == 'stop' then
  if not lease then return {call('HEXISTS', KEYS[1], id) == 1 and 3 or 0} end
  if tonumber(lease) <= now and ARGV[3] == '2' then
    write(id, math.max(epoch + 1, us), attempts, 2)
    finish(ARGV[4])
    return {2}
  end
  write(id, epoch, attempts, math.max(stop, tonumber(ARGV[3])))
  return {1}
end

if fmt(epoch) ~= ARGV[3] then return {0} end
if not lease then return {op == 'finish' and 1 or 0} end

if op == 'renew' then
  call('ZADD', KEYS[2], fmt(now + tonumber(ARGV[4])), id)
  call('HSET', KEYS[4], id, ARGV[5])
  return {1, stop}
elseif op == 'replay' then
  epoch = math.max(epoch + 1, us)
  write(id, epoch, attempts, stop)
  return {1, fmt(epoch)}
elseif op == 'finish' then
  finish(ARGV[4])
  return {1}
elseif op == 'release' then
  if tonumber(lease) > now then -- else it is open already: a retry must not count twice
    call('ZADD', KEYS[2], fmt(now), id)
    write(id, epoch, attempts - 1, stop)
  end
  return {1}
end
return redis.error_reply('unknown operation ' .. op)
