-- One job of map-reduce: what was asked, which attempt of each task counts, how it ended.
-- KEYS: 1 job(hash request, epoch, total:<phase>, end)  2 map, 3 reduce (hashes task->"attempt output")          {job}
-- ARGV: 1 op 2 ttlMs, then
--   open   request                    -> {1} | {0,the request that the id has already}
--   init   phase epoch total          -> {1} (a retry: again) | {0} an older coordinator, or ended | {-1} another total is set already
--   commit phase task attempt output  -> {1} it counts (a retry: again) | {0} another attempt counts: discard mine | {-1} unknown or ended: discard mine
--   revoke phase task attempt         -> {1} its output was lost: the task is open again | {0} another attempt counts, or none, or ended
--   end    epoch(or '') outcome       -> {1,outcome} the outcome that counts, mine or an earlier one | {0} an older coordinator | {-1} unknown
--   status                            -> {request, end or '', map total, map done, reduce total, reduce done} | {} unknown
-- phase: 2 map, 3 reduce: the number of its key.
-- Guarantee: one attempt of a task counts at a time, and one end; after the end nothing is committed. Older coordinators, by epoch, are refused.
-- Each operation changes one field, so no part of one can be there without the rest; how many are done is counted, not kept.
local call = redis.call
local op, ttl = ARGV[1], ARGV[2]
local function keep(ms) for i = 1, 3 do call('PEXPIRE', KEYS[i], ms) end end

if op == 'status' then
  local v = call('HMGET', KEYS[1], 'request', 'end', 'total:2', 'total:3')
  if not v[1] then return {} end
  return {v[1], v[2] or '', tonumber(v[3] or '0'), call('HLEN', KEYS[2]), tonumber(v[4] or '0'), call('HLEN', KEYS[3])}
end

local request = call('HGET', KEYS[1], 'request')
if op == 'open' then
  if request and request ~= ARGV[3] then return {0, request} end
  if not request then call('HSET', KEYS[1], 'request', ARGV[3]) end
  keep(ttl)
  return {1}
end

local ended = call('HGET', KEYS[1], 'end')
if op == 'end' then
  if ended then return {1, ended} end
  if not request then return {-1} end
  local epoch = call('HGET', KEYS[1], 'epoch') -- none when a failover has lost it
  if ARGV[3] ~= '' and epoch and ARGV[3] ~= epoch then return {0} end
  call('HSET', KEYS[1], 'end', ARGV[4])
  keep(ttl)
  return {1, ARGV[4]}
end

if not request or ended then return {op == 'commit' and -1 or 0} end
if op == 'init' then
  local epoch = call('HGET', KEYS[1], 'epoch')
  if epoch and tonumber(ARGV[4]) < tonumber(epoch) then return {0} end
  local total = call('HGET', KEYS[1], 'total:' .. ARGV[3])
  if total and total ~= ARGV[5] then return {-1} end
  if epoch ~= ARGV[4] then call('HSET', KEYS[1], 'epoch', ARGV[4]) end
  if not total then call('HSET', KEYS[1], 'total:' .. ARGV[3], ARGV[5]) end
  keep(ttl)
  return {1}
end

local key = KEYS[tonumber(ARGV[3])]
local counts = call('HGET', key, ARGV[4])
local attempt = counts and string.match(counts, '^%S+')
if op == 'commit' then
  if not counts then
    call('HSET', key, ARGV[4], ARGV[5] .. ' ' .. ARGV[6])
    keep(ttl)
    return {1}
  end
  return {attempt == ARGV[5] and 1 or 0}
elseif op == 'revoke' then
  if attempt ~= ARGV[5] then return {0} end
  call('HDEL', key, ARGV[4])
  return {1}
end
return redis.error_reply('unknown operation ' .. op)
