-- Children by name over all processes: leases with epochs, one restart budget, one strategy. Every call has one write that counts, so none can be torn.
-- KEYS: 1 tree(hash: c:<child> record, i:<instance> "expiryMs sinceMs", meta, log, strategy, escalated, fenced)  2 values(hash child -> "epoch value")   {tag}
-- ARGV: 1 op, then for write: child epoch value.   For all others:
--   2 instance or ''  3 leaseMs  4 maxRestarts  5 withinMs  6 firstPauseMs  7 longestPauseMs  8 stableMs  9 jitter, millionths  10 strategy(one|all|rest) unless one was set
--   11 n  then n x (child, restart: P permanent, T transient, M temporary), in the order of starts, then by op:
--   beat   (child epoch event text)*  -> {waitMs or -1, strategy, restarts made, escalations made, then for each child of the instance: name epoch run|stop signal}
--          event: hold up exited done crashed hung stopped tree. Renews, takes over from the dead, decides, hands out. What is missing from the answer is lost: stop it.
--   leave  as beat, and hands nothing out: the process ends
--   tree   -> {strategy, escalated, spent, fenced, escalations, restarts, started, exited, crashed, hung, stopped, lost, running, then for each child:
--          name epoch state owner leaseLeftMs startsInMs restarts reason value}.   state: W waiting B backing off S starting R running T stopping X exited
--   signal child name id    -> {1,epoch} sent (also on a retry) | {0,state} it does not run | {-1,reason} escalated
--   strategy one|all|rest   -> {1}
--   reset                   -> {1}: budget full, and after an escalation all start anew
--   write -> {1,epoch} | {0,current epoch} refused: the epoch is over
-- Guarantee: time is the server's; an epoch is given out once and only rises; a repeated report of an end counts once, for it names its epoch.
local call, op = redis.call, ARGV[1]
local TREE, VALUES = KEYS[1], KEYS[2]
local function fmt(x) return string.format('%.0f', x) end
local RECORD = '^(%d+) (%a) (%S+) (%d+) (%d+) (%d+) (%d+) (%d+) (%S+) ?(.*)$'

if op == 'write' then
  local epoch, state = string.match(call('HGET', TREE, 'c:' .. ARGV[2]) or '0 W', '^(%d+) (%a)')
  if epoch ~= ARGV[3] or not string.find('SRT', state, 1, true) then call('HINCRBY', TREE, 'fenced', 1) return {0, epoch} end
  call('HSET', VALUES, ARGV[2], epoch .. ' ' .. ARGV[4])
  return {1, epoch}
end

local t = call('TIME')
local us = tonumber(t[1]) * 1000000 + tonumber(t[2])
local now = math.floor(us / 1000)
local me, lease, max, within = ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local first, longest, stable, jitter = tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8]), tonumber(ARGV[9])
local n = tonumber(ARGV[11])
local rest = 12 + 2 * n

local f, all = {}, call('HGETALL', TREE)
for i = 1, #all, 2 do f[all[i]] = all[i + 1] end
local strategy, escalated = f.strategy or ARGV[10], f.escalated or ''
local m, COUNTS = {}, {'epoch', 'escalations', 'restarts', 'started', 'exited', 'crashed', 'hung', 'stopped', 'lost', 'last'}
for _, k in ipairs(COUNTS) do m[k] = 0 end
for k, v in string.gmatch(f.meta or '', '(%a+)=(%d+)') do m[k] = tonumber(v) end
local function count(k) m[k] = m[k] + 1 end
local log = {}
for at, key in string.gmatch(f.log or '', '(%d+):(%S+)') do
  if tonumber(at) > now - within then log[#log + 1] = at .. ':' .. key end
end
local children, byName = {}, {}
for i = 1, n do
  local c = {place = i, name = ARGV[10 + 2 * i], kind = ARGV[11 + 2 * i]}
  local e, s, o, x, d, fl, st, rs, sg, re = string.match(f['c:' .. c.name] or '0 W - 0 0 0 0 0 - ', RECORD)
  c.epoch, c.state, c.owner, c.exp, c.due, c.fails = e, s, o, tonumber(x), tonumber(d), tonumber(fl)
  c.started, c.restarts, c.signal, c.reason = tonumber(st), tonumber(rs), sg, re
  children[i], byName[c.name] = c, c
end
local function runs(c) return c.state == 'S' or c.state == 'R' or c.state == 'T' end

if op == 'tree' then
  local running = 0
  for _, c in ipairs(children) do if runs(c) then running = running + 1 end end
  local out = {strategy, escalated, #log, tonumber(f.fenced or '0'), m.escalations, m.restarts, m.started, m.exited, m.crashed, m.hung, m.stopped, m.lost, running}
  for _, c in ipairs(children) do
    local value = call('HGET', VALUES, c.name)
    for _, v in ipairs({c.name, c.epoch, c.state, c.owner, fmt(math.max(0, c.exp - now)), fmt(math.max(0, c.due - now)), fmt(c.restarts), c.reason, value or ''}) do out[#out + 1] = v end
  end
  return out
end

local function save()
  local out = {}
  for _, c in ipairs(children) do
    out[#out + 1] = 'c:' .. c.name
    out[#out + 1] = table.concat({c.epoch, c.state, c.owner, fmt(c.exp), fmt(c.due), fmt(c.fails), fmt(c.started), fmt(c.restarts), c.signal, c.reason}, ' ')
  end
  local meta = {}
  for _, k in ipairs(COUNTS) do meta[#meta + 1] = k .. '=' .. fmt(m[k]) end
  for _, v in ipairs({'meta', table.concat(meta, ' '), 'log', table.concat(log, ' '), 'strategy', strategy, 'escalated', escalated}) do out[#out + 1] = v end
  if op == 'beat' then
    out[#out + 1] = 'i:' .. me
    out[#out + 1] = fmt(now + lease) .. ' ' .. (string.match(f['i:' .. me] or '', '^%d+ (%d+)$') or fmt(now))
  end
  call('HSET', TREE, (unpack or table.unpack)(out))
end

if op == 'strategy' then strategy = ARGV[rest] save() return {1} end
if op == 'reset' then
  log = {}
  for _, c in ipairs(children) do
    c.fails, c.due = 0, 0
    if escalated ~= '' then
      c.started = 0
      if c.state == 'X' or c.state == 'B' then c.state = 'W' end
    end
  end
  escalated = ''
  save()
  return {1}
end
if op == 'signal' then
  local c, sent = byName[ARGV[rest]], ARGV[rest + 1] .. ':' .. ARGV[rest + 2]
  local before, epoch = string.match(c.signal, '^(.*):(%d+)$')
  if before == sent then return {1, epoch} end
  if escalated ~= '' then return {-1, escalated} end
  if c.state ~= 'S' and c.state ~= 'R' then return {0, c.state} end
  c.signal = sent .. ':' .. c.epoch
  save()
  return {1, c.epoch}
end
if op ~= 'beat' and op ~= 'leave' then return redis.error_reply('ERR unknown operation ' .. tostring(op)) end

local restartsBefore, escalationsBefore = m.restarts, m.escalations
local function spend(key)
  for _, entry in ipairs(log) do if string.match(entry, ':(.*)$') == key then return true end end  -- one death counts once, however many children it took
  if #log >= max then return false end
  log[#log + 1] = fmt(now) .. ':' .. key
  return true
end
local function release(c)  -- it has stopped, not failed
  c.owner, c.exp = '-', 0
  if c.kind == 'M' and escalated == '' then c.state = 'X' else c.state = c.due > now and 'B' or 'W' end
end
local function escalate(why)
  escalated = why
  count('escalations')
  for _, c in ipairs(children) do
    if c.state == 'S' or c.state == 'R' then c.state, c.reason = 'T', 'stopped: the supervisor gave up' end
  end
end
local function fail(c, event, why, key)
  count(event)
  local stops = c.state == 'T'
  c.owner, c.exp, c.reason = '-', 0, why
  if stops then release(c) return end
  c.state, c.due = 'X', 0
  if event == 'tree' or (event ~= 'done' and (c.kind == 'P' or (c.kind == 'T' and event ~= 'exited'))) then
    if escalated ~= '' then c.state = 'W' return end
    if event == 'tree' or not spend(key) then
      c.state = 'W'
      escalate(c.name .. ' ' .. why .. (event == 'tree' and '' or (', after ' .. fmt(max) .. ' restarts within ' .. fmt(within) .. ' ms (MaxRestarts, Within).')))
      return
    end
    count('restarts')
    if c.started > 0 and now - c.started >= stable then c.fails = 0 end
    c.fails, c.restarts, c.state = c.fails + 1, c.restarts + 1, 'B'
    c.due = now + math.floor(math.min(longest, first * 2 ^ math.min(c.fails - 1, 60)) * jitter / 1000000)
    for _, s in ipairs(children) do
      if s ~= c and (strategy == 'all' or (strategy == 'rest' and s.place > c.place)) and s.state ~= 'X' then
        if s.state == 'S' or s.state == 'R' then s.state, s.reason = 'T', 'stopped with ' .. c.name end
        s.due = math.max(s.due, c.due)
      end
    end
  end
end
m.tree, m.done = 0, 0  -- counted with what they are

-- When nobody has beaten for half a lease, it was the server that was away, for each process beats at least three times a lease: everybody gets another one.
if now - m.last >= lease / 2 then
  for _, c in ipairs(children) do if runs(c) then c.exp = math.max(c.exp, now + lease) end end
end
m.last = now

for i = rest, #ARGV, 4 do
  local c, event, text = byName[ARGV[i]], ARGV[i + 2], ARGV[i + 3]
  if c and c.epoch == ARGV[i + 1] and c.owner == me and runs(c) then
    if event == 'hold' or event == 'up' then
      c.exp = now + lease
      if event == 'up' and c.state == 'S' then c.state = 'R' end
    elseif event == 'stopped' then
      count('stopped')
      if c.state ~= 'T' then c.reason, c.due = 'handed back', 0 end
      release(c)
    else fail(c, event, text, c.epoch) end
  end
end
m.crashed, m.exited = m.crashed + m.tree, m.exited + m.done
m.tree, m.done = nil, nil

for _, c in ipairs(children) do
  if runs(c) and c.exp <= now then fail(c, 'lost', 'lost: ' .. c.owner .. ' did not renew its lease', fmt(c.exp) .. c.owner) end
end

local live, settled, mine, stopping, dead = 0, 0, {}, false, {}
for k, v in pairs(f) do
  if string.sub(k, 1, 2) == 'i:' and k ~= 'i:' .. me then
    local exp, since = string.match(v, '^(%d+) (%d+)$')
    if tonumber(exp) <= now then dead[#dead + 1] = k
    else
      live = live + 1
      if tonumber(since) + lease <= now then settled = settled + 1 end
    end
  end
end
for _, c in ipairs(children) do
  if runs(c) and c.owner == me then
    c.exp = now + lease  -- also one that it does not know of yet: the answer tells it
    mine[#mine + 1] = c
    stopping = stopping or c.state == 'T'
  end
end
local wait = -1
if op == 'beat' and escalated == '' then
  -- held: one before it is not up yet, or, where children depend on each other, one is still stopping.
  local share, held = math.ceil(n / (live + 1)), false
  for _, c in ipairs(children) do held = held or (strategy ~= 'one' and c.state == 'T') end
  for _, c in ipairs(children) do
    if (c.state == 'W' or c.state == 'B') and not (held and (strategy ~= 'one' or c.started == 0)) then
      if c.due > now then
        if wait < 0 or c.due - now < wait then wait = c.due - now end
      elseif #mine < share then
        m.epoch = math.max(m.epoch + 1, us)
        c.epoch, c.state, c.owner, c.exp, c.started = fmt(m.epoch), 'S', me, now + lease, now
        mine[#mine + 1] = c
        count('started')
      end
    end
    held = held or not (c.state == 'R' or c.state == 'X')
  end
  -- More than a fair share, and others have been there for a while: hand one over.
  if not stopping and #mine > math.ceil(n / (settled + 1)) then
    for i = #mine, 1, -1 do
      local c = mine[i]
      if c.state == 'R' and c.kind ~= 'M' then c.state, c.due, c.reason = 'T', 0, 'handed over' break end
    end
  end
end

save()
if op == 'leave' then call('HDEL', TREE, 'i:' .. me) end
if #dead > 0 then call('HDEL', TREE, (unpack or table.unpack)(dead)) end

local out = {wait, strategy, m.restarts - restartsBefore, m.escalations - escalationsBefore}
for i, c in ipairs(children) do
  if runs(c) and c.owner == me then
    local last = true  -- stop in reverse: those after it first
    for j = i + 1, n do last = last and children[j].state ~= 'T' end
    local signal, epoch = string.match(c.signal, '^(%a+):.*:(%d+)$')
    for _, v in ipairs({c.name, c.epoch, c.state == 'T' and last and 'stop' or 'run', signal and epoch == c.epoch and string.match(c.signal, '^(.*):%d+$') or ''}) do out[#out + 1] = v end
  end
end
return out
