-- One partition of the event loop: an ordered log of events, and one hash with everything that must change together: cursor, states, timers, ledger, epoch.
-- KEYS: 1 log(zset seq->"seq handler key asked trace body") 2 data(hash) 3 ids(zset post->seq)      one {tag} a partition
--   data: epoch cursor seq in done dead dups refused fenced timers slow slowest error keys; commit: the last commit's id; last, lastn: the posts of the last append, and their events;
--         "p:<post>" = first seq and events of a post; "s:<key>" = a state; "t:<key> <name>" = a timer, "dueMs handler body"; '' = none
-- ARGV: 1 op, then
--   append capacity maxKeys keep {post key epochWanted|'' n event..}..  -> waitingBefore, then per post {1,lastSeq} | {2,lastSeq}=DUPLICATE | {0,waiting}=FULL | {-1,keys}=KEYS FULL | {-2,epoch}=FENCED
--   open   epoch                                  -> {1,cursor,keys,nowMs,commit} | {0,epoch}=FENCED        first call of a new owner: from then on the older ones are shut out
--   read   epoch afterSeq count                   -> {1,nowUs,"seq handler ..",..} | {0,epoch}=FENCED
--   commit epoch from to done dead timers slow slowest error id after {field value}..
--          -> {1,keys} (a retry: again) | {0,epoch}=FENCED | {-1,cursor}=the last commit is not `after`, or cursor not `from`: throw the local state away, open again
--          the ids tell a retry from what follows, also where timers alone had turns and the cursor stays; one that comes late changes nothing
--          fields are s:.. and t:..; value '' ends it; a timer's value is "delayMs handler body"
--   stats  -> {epoch,cursor,in,done,dead,dups,refused,fenced,timers,slow,slowest,error,keys,waiting,oldestMs}
-- A killed Garnet can leave the first writes of a script without the rest. commit changes everything with one HSET, so that is no matter there. append records posts
-- and seq with one HSET and events with one ZADD: the next call sees seq without its event, and forgets posts that were recorded and have no events.
local call = redis.call
local LOG, DATA, IDS = KEYS[1], KEYS[2], KEYS[3]
local t = call('TIME')
local us = tonumber(t[1]) * 1000000 + tonumber(t[2])
local function fmt(x) return string.format('%.0f', x) end
local op = ARGV[1]
local m = call('HMGET', DATA, 'epoch', 'cursor', 'seq', 'in', 'done', 'dead', 'dups', 'refused', 'fenced', 'timers', 'slow', 'keys', 'last', 'lastn', 'commit')
local function num(i) return tonumber(m[i] or '0') or 0 end
local epoch, cursor, seq, taken = m[1] or '0', m[2] or '0', num(3), num(4)

local last = m[13] or ''
if last ~= '' and seq > tonumber(cursor) and call('ZCOUNT', LOG, fmt(seq), fmt(seq)) == 0 then
  for id in string.gmatch(last, '%S+') do call('HDEL', DATA, 'p:' .. id) end
  taken = taken - num(14)
  call('HSET', DATA, 'in', fmt(taken), 'last', '', 'lastn', '0')
end

if op == 'stats' then
  local first = call('ZRANGE', LOG, 0, 0)[1]
  local age = first and (us - tonumber(string.match(first, '^%d+'))) / 1000 or 0
  local s = call('HMGET', DATA, 'slowest', 'error')
  return {epoch, cursor, fmt(taken), fmt(num(5)), fmt(num(6)), fmt(num(7)), fmt(num(8)), fmt(num(9)), fmt(num(10)), fmt(num(11)), s[1] or '', s[2] or '', fmt(num(12)),
    call('ZCARD', LOG), fmt(math.max(0, math.floor(age)))}
end

if op == 'append' then
  local capacity, maxKeys, keep = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
  local waiting, records, events, ids, names, seen, n = call('ZCARD', LOG), {}, {}, {}, {}, {}, 0
  local out = {waiting}
  local dups, refused, fenced = num(7), num(8), num(9)
  local at = 5
  while at <= #ARGV do
    local id, key, wanted, many = ARGV[at], ARGV[at + 1], ARGV[at + 2], tonumber(ARGV[at + 3])
    local known = seen[id] or call('HGET', DATA, 'p:' .. id)
    if known then
      local first, count = string.match(known, '^(%d+) (%d+)$')
      dups = dups + 1
      out[#out + 1] = {2, fmt(tonumber(first) + tonumber(count) - 1)}
    elseif wanted ~= '' and wanted ~= epoch then
      fenced = fenced + 1
      out[#out + 1] = {-2, epoch}
    elseif waiting + n + many > capacity then
      refused = refused + 1
      out[#out + 1] = {0, waiting + n}
    elseif num(12) >= maxKeys and (call('HGET', DATA, 's:' .. key) or '') == '' then
      refused = refused + 1
      out[#out + 1] = {-1, num(12)}
    else
      local first = math.max(seq + 1, us)                                            -- rises, and is never given twice, also not after lost data
      for i = 1, many do
        seq = first + i - 1
        events[#events + 1] = fmt(seq); events[#events + 1] = fmt(seq) .. ' ' .. ARGV[at + 3 + i]
      end
      seen[id] = fmt(first) .. ' ' .. fmt(many)
      records[#records + 1] = 'p:' .. id; records[#records + 1] = seen[id]
      ids[#ids + 1] = fmt(seq); ids[#ids + 1] = id
      names[#names + 1] = id
      n = n + many
      out[#out + 1] = {1, fmt(seq)}
    end
    at = at + 4 + many
  end
  records[#records + 1] = 'dups'; records[#records + 1] = fmt(dups)
  records[#records + 1] = 'refused'; records[#records + 1] = fmt(refused)
  records[#records + 1] = 'fenced'; records[#records + 1] = fmt(fenced)
  if n > 0 then
    records[#records + 1] = 'seq'; records[#records + 1] = fmt(seq)
    records[#records + 1] = 'in'; records[#records + 1] = fmt(taken + n)
    records[#records + 1] = 'last'; records[#records + 1] = table.concat(names, ' ')
    records[#records + 1] = 'lastn'; records[#records + 1] = fmt(n)
  end
  call('HSET', DATA, unpack(records))
  if n > 0 then
    call('ZADD', LOG, unpack(events))
    call('ZADD', IDS, unpack(ids))
    local over = call('ZCARD', IDS) - keep
    if over > 0 then
      local old = call('ZRANGE', IDS, 0, math.min(over, 1000) - 1)
      local fields = {}
      for i, id in ipairs(old) do fields[i] = 'p:' .. id end
      call('HDEL', DATA, unpack(fields)); call('ZREM', IDS, unpack(old))
    end
  end
  return out
end

if tonumber(ARGV[2]) < tonumber(epoch) then
  if op == 'commit' then call('HSET', DATA, 'fenced', fmt(num(9) + 1)) end
  return {0, epoch}
end
if ARGV[2] ~= epoch then call('HSET', DATA, 'epoch', ARGV[2]) end
if op == 'open' then
  call('ZREMRANGEBYSCORE', LOG, '-inf', cursor)                                      -- of a torn commit
  return {1, cursor, num(12), fmt(math.floor(us / 1000)), m[15] or '0'}
end
if op == 'read' then
  local out = {1, fmt(us)}
  for _, e in ipairs(call('ZRANGEBYSCORE', LOG, '(' .. ARGV[3], '+inf', 'LIMIT', 0, ARGV[4])) do out[#out + 1] = e end
  return out
end

local from, to, id, after = ARGV[3], ARGV[4], ARGV[11], ARGV[12]
local latest = m[15] or '0'
if latest == id then                                                                 -- a retry
  call('ZREMRANGEBYSCORE', LOG, '-inf', to)
  return {1, num(12)}
end
if latest ~= after or cursor ~= from or tonumber(to) < tonumber(from) or tonumber(to) > math.max(seq, tonumber(from)) then return {-1, cursor} end
local now, keys = math.floor(us / 1000), num(12)
local fields, ended = {}, {}
for i = 13, #ARGV, 2 do fields[#fields + 1] = ARGV[i] end
local before = #fields > 0 and call('HMGET', DATA, unpack(fields)) or {}
local change = {'commit', id, 'cursor', to, 'done', fmt(num(5) + tonumber(ARGV[5])), 'dead', fmt(num(6) + tonumber(ARGV[6])), 'timers', fmt(num(10) + tonumber(ARGV[7])),
  'slow', fmt(num(11) + tonumber(ARGV[8]))}
if ARGV[9] ~= '' then change[#change + 1] = 'slowest'; change[#change + 1] = ARGV[9] end
if ARGV[10] ~= '' then change[#change + 1] = 'error'; change[#change + 1] = ARGV[10] end
for i, field in ipairs(fields) do
  local value = ARGV[12 + i * 2]
  if string.sub(field, 1, 2) == 's:' then
    keys = keys + (value ~= '' and 1 or 0) - ((before[i] or '') ~= '' and 1 or 0)
  elseif value ~= '' then
    local delay, rest = string.match(value, '^(%d+) (.*)$')
    value = fmt(now + tonumber(delay)) .. ' ' .. rest
  end
  if value == '' then ended[#ended + 1] = field end
  change[#change + 1] = field; change[#change + 1] = value
end
change[#change + 1] = 'keys'; change[#change + 1] = fmt(keys)
call('HSET', DATA, unpack(change))
if #ended > 0 then call('HDEL', DATA, unpack(ended)) end
call('ZREMRANGEBYSCORE', LOG, '-inf', to)
return {1, keys}
