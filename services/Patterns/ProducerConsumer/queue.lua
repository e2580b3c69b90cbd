-- A bounded, leased, reliable queue; each call is one atomic step. An id is in exactly one state:
--   r ready | d delayed | l leased | x dead | f finished | c cancelled | o dropped        (f, c and o only as long as the window remembers them)
-- The record in `info` is the single truth, the sorted sets are its indexes, `jobs` holds payloads (id) and results (id and \1).
-- KEYS: 1 ready(zset id->place) 2 delayed(zset id->dueMs) 3 lease(zset id->expiryMs) 4 jobs(hash id->payload|result) 5 info(hash id->record)
--       6 dead(zset id->deadUs) 7 done(zset id->endUs: the window) 8 meta(hash: counters, flags, open hand-outs)                  all {queue}
-- ARGV: 1 op 2 deadCap 3 doneKeep 4 doneKeepForMs, then by op:
--   enqueue capacity full(r reject|w the caller waits|o drop oldest|n drop newest) step call {id payload delayMs priority ttlMs(0 none)}..
--           -> {depth, ready before, code..}: 1 accepted 0 full 3 dead 4 sealed, 10..16 duplicate in state r d l x f c o
--           place = sequence + priority*step: an item is overtaken by at most priority*step later ones. `call` is new for each call, not for its
--           repetition: an item that a lost reply had accepted is accepted again, not a duplicate.
--   reserve leaseMs maxAttempts count request -> {wakeMs, room, {id payload token attempt leftMs ageMs ttlLeftMs(-1 none) why}..}
--           wakeMs 0: more is ready, -1: nothing to wait for, -2: sealed and empty. The same request again is the same hand-out, no attempt counted
--           twice, until one of its items is settled or runs out. count 0 only moves what is due: there is no janitor, whoever reserves or waits does it.
--   settle  maxAttempts {verb(ack|fail|nack|release|extend|dead) id token ms text}..  text: a result or a reason
--           -> {woke, room, code..}: 1 done 2 dead 3 cancelled 4 extended, cancel asked 0 stale -1 unknown. A repetition is answered alike.
--   cancel  id -> {code, room}: 1 cancelled 2 asked, the holder sees 4 at its next extend 0 ended -1 unknown
--   status  id.. -> {state attempts cancel note result}..       state '' is unknown
--   peek    offset count -> {id ageMs attempts note payload}..  oldest dead first
--   replay  capacity count [id..] -> {replayed, dead left}      attempts from 0, old place. The one call whose repetition understates its count.
--   seal    -> 1                                                 no more enqueues
--   stats   -> {in done cancelled dropped rejected expired fenced replayed redelivered sealed ready delayed leased dead oldestMs failed}
--           one atomic reading: in = ready + delayed + leased + dead + dropped + done + cancelled; failed is a part of done
-- room 1: producers wait and there is room for one. woke 1: an item became ready.
local call, unpack = redis.call, unpack or table.unpack
local READY, DELAYED, LEASE, JOBS, INFO, DEAD, DONE, META = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6], KEYS[7], KEYS[8]
local op, deadCap, doneKeep, keepFor = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local t = call('TIME')
local now = tonumber(t[1]) * 1000 + math.floor(tonumber(t[2]) / 1000)
local stamp = tonumber(t[1]) * 1000000 + tonumber(t[2])
local function fmt(x) return string.format('%.0f', x) end
local function nextUs() stamp = stamp + 1 return fmt(stamp) end                          -- two ends in one call keep their order

-- Writes are collected and made with few calls: a call costs more than its argument. They are written down first, because a killed Garnet can keep the
-- first writes of its last script without the rest: the next call of any kind makes them again, and so completes it. Whoever reads a set flushes first.
local records, dirty, counts, meta, freed = {}, {}, {}, {}, false
local moves, jobs = {[READY] = {}, [DELAYED] = {}, [LEASE] = {}, [DEAD] = {}, [DONE] = {}}, {}
local function count(f, n) counts[f] = (counts[f] or 0) + (n or 1) end
local function put(key, id, score) moves[key][id] = score end
local function out_of(key, id) moves[key][id] = false end
local function make(plan)
  for _, write in ipairs(plan) do call(unpack(write)) end
  call('HDEL', META, 'journal')
end
local journal = call('HGET', META, 'journal')
if journal then make(cmsgpack.unpack(journal)) end

local function parse(v)
  if not v then return nil end
  local r = {}
  r.s, r.tok, r.att, r.place, r.seen, r.cancel, r.born, r.exp, r.why, r.by, r.note =
    string.match(v, '^(%a) (%d+) (%d+) (%d+) (%d) (%d) (%d+) (%d+) (%S+) (%S+) (.*)$')
  return r
end
local function prefetch(ids)
  if #ids == 0 then return end
  local found = call('HMGET', INFO, unpack(ids))
  for i, id in ipairs(ids) do if records[id] == nil then records[id] = parse(found[i]) or false end end
end
local function load(id)
  if records[id] == nil then records[id] = parse(call('HGET', INFO, id)) or false end
  return records[id]
end
local function save(id, r) records[id] = r; dirty[id] = true end
local function flush()
  local plan = {}
  local function write(set, del, buffer, score_first, ...)     -- one call for what is set, one for what is taken away
    local adds, removals = {...}, {...}
    local head = #adds
    adds[1], removals[1] = set, del
    for name, value in pairs(buffer) do
      if value then
        adds[#adds + 1] = score_first and value or name
        adds[#adds + 1] = score_first and name or value
      else
        removals[#removals + 1] = name
      end
    end
    if #adds > head then plan[#plan + 1] = adds end
    if #removals > head then plan[#plan + 1] = removals end
  end
  local texts, names = {}, {}
  for id in pairs(dirty) do
    local r = records[id]
    texts[id] = r and table.concat({r.s, r.tok, r.att, r.place, r.seen, r.cancel, r.born, r.exp, r.why, r.by, r.note}, ' ')
  end
  for f in pairs(counts) do names[#names + 1] = f end
  if #names > 0 then
    for i, v in ipairs(call('HMGET', META, unpack(names))) do meta[names[i]] = fmt(tonumber(v or '0') + counts[names[i]]) end
  end
  write('HSET', 'HDEL', jobs, false, '', JOBS)
  if plan[1] and plan[1][1] == 'HSET' then call(unpack(table.remove(plan, 1))) end    -- nothing refers to a new payload or result yet
  write('HSET', 'HDEL', texts, false, '', INFO)
  for key, ids in pairs(moves) do
    write('ZADD', 'ZREM', ids, true, '', key)
    moves[key] = {}
  end
  write('HSET', 'HDEL', meta, false, '', META)
  dirty, jobs, meta, counts = {}, {}, {}, {}
  if #plan > 1 then
    call('HSET', META, 'journal', cmsgpack.pack(plan))
    make(plan)
  elseif plan[1] then
    call(unpack(plan[1]))
  end
end

local function depth() return call('ZCARD', READY) + call('ZCARD', DELAYED) + call('ZCARD', LEASE) end
local function finish(id, r, s, result)
  r.s = s; save(id, r); put(DONE, id, nextUs()); freed = true
  count(s == 'f' and 'done' or s == 'c' and 'cancelled' or 'dropped')
  jobs[id] = false
  if result and result ~= '' then jobs[id .. '\1'] = result end
end
local function bury(id, r) r.s = 'x'; save(id, r); put(DEAD, id, nextUs()); freed = true end
local function wait(id, r, delay)
  r.s = delay > 0 and 'd' or 'r'; save(id, r)
  if delay > 0 then put(DELAYED, id, fmt(now + delay)) else put(READY, id, r.place) end
end
local function reopen(r) if r.note ~= '' then meta['q:' .. r.note] = false end end        -- its hand-out cannot be asked for again
local function pending(key)
  local n = 0
  for _, score in pairs(moves[key]) do if score then n = n + 1 end end
  return n
end
local function forget()                                                                  -- at most 200 a call, more than a call can add; then flushes
  local over = call('ZCARD', DEAD) + pending(DEAD) - deadCap
  if over > 0 then
    local ids = call('ZRANGE', DEAD, 0, math.min(over, 200) - 1)
    prefetch(ids)
    for _, id in ipairs(ids) do if load(id) and load(id).s == 'x' then out_of(DEAD, id); finish(id, load(id), 'o') end end
  end
  over = call('ZCARD', DONE) + pending(DONE) - doneKeep
  for _, id in ipairs(over > 0 and call('ZRANGE', DONE, 0, math.min(over, 200) - 1) or call('ZRANGEBYSCORE', DONE, '-inf', fmt((now - keepFor) * 1000), 'LIMIT', 0, 200)) do
    out_of(DONE, id); save(id, false); jobs[id] = false; jobs[id .. '\1'] = false
  end
  flush()
end
local function room() return freed and call('HDEL', META, 'blocked') or 0 end

if op == 'enqueue' then
  local cap, full, step, by, ids = tonumber(ARGV[5]), ARGV[6], tonumber(ARGV[7]), ARGV[8], {}
  for i = 9, #ARGV, 5 do ids[#ids + 1] = ARGV[i] end
  prefetch(ids)
  local waiting = call('ZCARD', READY)
  local n, known = waiting + call('ZCARD', DELAYED) + call('ZCARD', LEASE), call('HMGET', META, 'in', 'sealed')
  local sequence, accepted, out, blocked = tonumber(known[1] or '0'), 0, {0, waiting}, false
  for i = 9, #ARGV, 5 do
    local id, r, mine, code = ARGV[i], load(ARGV[i]), by .. '.' .. fmt(i), 1
    if r then
      code = r.by == mine and 1 or r.s == 'x' and 3 or 9 + string.find('rdlxfco', r.s, 1, true)
    elseif known[2] then
      code = 4
    else
      if n >= cap and (full == 'o' or full == 'n') then
        flush()
        local from = full == 'o' and 0 or -1
        local key, victim = READY, call('ZRANGE', READY, from, from)[1]
        if not victim then key, victim = DELAYED, call('ZRANGE', DELAYED, from, from)[1] end
        if victim then
          local v = load(victim)
          v.tok = '0'; v.note = 'dropped'; out_of(key, victim); finish(victim, v, 'o'); n = n - 1
        end
      end
      if n >= cap then
        code = 0
        if full == 'w' then blocked = true else count('rejected') end
      else
        local delay, ttl = tonumber(ARGV[i + 2]), tonumber(ARGV[i + 4])
        accepted = accepted + 1; n = n + 1
        jobs[id] = ARGV[i + 1]
        wait(id, {tok = '0', att = '0', place = fmt(sequence + accepted + tonumber(ARGV[i + 3]) * step), seen = '0', cancel = '0', born = fmt(now),
          exp = ttl > 0 and fmt(now + ttl) or '0', why = '-', by = mine, note = ''}, delay)
      end
    end
    out[#out + 1] = code
  end
  if accepted > 0 then count('in', accepted) end
  if freed then forget() else flush() end
  if blocked then call('HSET', META, 'blocked', '1') end
  out[1] = n
  return out

elseif op == 'reserve' then
  local lease, max, n, req, out = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7]), ARGV[8], {0, 0}
  local due = call('ZRANGEBYSCORE', DELAYED, '-inf', fmt(now), 'LIMIT', 0, 100)
  local late = call('ZRANGEBYSCORE', LEASE, '-inf', fmt(now), 'LIMIT', 0, 100)
  prefetch(due); prefetch(late)
  for _, i in ipairs(due) do out_of(DELAYED, i); wait(i, load(i), 0) end
  for _, i in ipairs(late) do
    local r = load(i)
    out_of(LEASE, i); count('expired'); reopen(r)
    r.tok = '0'; r.note = r.seen == '1' and 'expired' or 'never-delivered'      -- never-delivered: no holder ever settled or extended it
    r.why = r.seen == '1' and 'e' or 'v'
    if r.cancel == '1' then finish(i, r, 'c') elseif tonumber(r.att) >= max then bury(i, r) else wait(i, r, 0) end
  end
  flush()
  local function hand(i, r, left)
    local ttl = r.exp == '0' and -1 or math.max(0, tonumber(r.exp) - now)
    for _, v in ipairs({i, '', r.tok, tonumber(r.att), left, math.max(0, now - tonumber(r.born)), ttl, r.why}) do out[#out + 1] = v end
  end
  local taken = {}
  local old = n > 0 and call('HGET', META, 'q:' .. req)
  if old then
    for _, i in ipairs(cjson.decode(old)) do
      local r = load(i)
      if r and r.s == 'l' and r.note == req then taken[#taken + 1] = i; hand(i, r, math.floor(tonumber(call('ZSCORE', LEASE, i)) - now)) end
    end
  end
  if #taken == 0 then
    local tok, buried = tonumber(call('HGET', META, 'token') or '0'), 0
    repeat                                                      -- once, unless what it finds has outlived its time to live
      local ids, over = call('ZRANGE', READY, 0, (n > 0 and n - #taken or 20) - 1), 0
      prefetch(ids)
      for _, i in ipairs(ids) do
        local r = load(i)
        if r.exp ~= '0' and tonumber(r.exp) <= now then
          r.tok = '0'; r.note = 'ttl'; out_of(READY, i); bury(i, r); over = over + 1
        elseif n > 0 then
          tok = math.max(tok + 1, tonumber(t[1]) * 1000000 + tonumber(t[2]))    -- the fence: never issued again, not even after lost state
          if r.why ~= '-' then count('redelivered') end
          r.s = 'l'; r.tok = fmt(tok); r.att = fmt(tonumber(r.att) + 1); r.note = req; r.seen = '0'
          save(i, r); out_of(READY, i); put(LEASE, i, fmt(now + lease)); hand(i, r, lease); taken[#taken + 1] = i
        else
          break
        end
      end
      if #taken > 0 then meta['token'] = fmt(tok); meta['q:' .. req] = cjson.encode(taken) end
      flush(); buried = buried + over
    until over == 0 or #taken == n or buried >= 100
  end
  if #taken > 0 then
    for k, payload in ipairs(call('HMGET', JOBS, unpack(taken))) do out[(k - 1) * 8 + 4] = payload or '' end
  end
  forget()
  local wake = call('ZCARD', READY) > 0 and 0 or -1
  for _, k in ipairs({LEASE, DELAYED}) do
    local z = call('ZRANGE', k, 0, 0, 'WITHSCORES')
    if z[2] and wake ~= 0 then
      local w = math.max(1, math.floor(tonumber(z[2]) - now))
      if wake == -1 or w < wake then wake = w end
    end
  end
  if wake == -1 and call('HGET', META, 'sealed') then wake = -2 end
  out[1], out[2] = wake, room()
  return out

elseif op == 'settle' then
  local max, ids, out, woke = tonumber(ARGV[5]), {}, {0, 0}, 0
  for i = 6, #ARGV, 5 do ids[#ids + 1] = ARGV[i + 1] end
  prefetch(ids)
  local late = #call('ZRANGEBYSCORE', LEASE, '-inf', fmt(now), 'LIMIT', 0, 1) > 0          -- else no lease has to be looked at
  for i = 6, #ARGV, 5 do
    local verb, id, tok, ms, text, code = ARGV[i], ARGV[i + 1], ARGV[i + 2], tonumber(ARGV[i + 3]), ARGV[i + 4], 1
    local r = load(id)
    if not r then
      code = -1
    elseif r.s ~= 'l' and r.tok == tok and string.match(r.note, '^%S+') == verb then          -- a repetition of what ended this hand-out
      code = (r.s == 'x' or r.s == 'o') and 2 or r.s == 'c' and 3 or 1
    elseif r.s ~= 'l' or r.tok ~= tok or late and tonumber(call('ZSCORE', LEASE, id)) <= now then
      code = 0
      if verb ~= 'extend' then count('fenced') end
    elseif verb == 'extend' then
      reopen(r)
      if r.seen == '0' then r.seen = '1'; save(id, r) end
      put(LEASE, id, fmt(now + ms))
      code = r.cancel == '1' and 4 or 1
    else
      reopen(r); out_of(LEASE, id)
      r.seen = '1'; r.note = verb
      if verb == 'ack' or verb == 'fail' then
        finish(id, r, 'f', text)
        if verb == 'fail' then count('failed') end
      elseif verb == 'dead' then
        r.note = 'dead ' .. text; bury(id, r); code = 2
      else
        if verb == 'nack' then r.note = 'nack ' .. text else r.att = fmt(math.max(0, tonumber(r.att) - 1)) end
        if r.cancel == '1' then finish(id, r, 'c'); code = 3
        elseif verb == 'nack' and tonumber(r.att) >= max then bury(id, r); code = 2
        else
          r.why = verb == 'nack' and 'n' or 'r'
          wait(id, r, verb == 'nack' and ms or 0)
          if r.s == 'r' then woke = 1 end
        end
      end
    end
    out[#out + 1] = code
  end
  if freed then forget() else flush() end
  out[1], out[2] = woke, room()
  return out

elseif op == 'cancel' then
  local id = ARGV[5]
  local r = load(id)
  if not r then return {-1, 0} end
  if r.s == 'l' then r.cancel = '1'; save(id, r); flush() return {2, 0} end
  if r.s == 'c' then return {1, 0} end                          -- said again
  if r.s ~= 'r' and r.s ~= 'd' then return {0, 0} end
  out_of(r.s == 'r' and READY or DELAYED, id); r.tok = '0'; r.note = 'cancelled'; finish(id, r, 'c'); forget()
  return {1, room()}

elseif op == 'status' then
  local out, ids = {}, {}
  for i = 5, #ARGV do ids[#ids + 1] = ARGV[i] end
  prefetch(ids)
  for _, id in ipairs(ids) do
    local r = load(id)
    for _, v in ipairs(r and {r.s, tonumber(r.att), tonumber(r.cancel), r.s == 'l' and '' or r.note, r.s == 'f' and call('HGET', JOBS, id .. '\1') or ''} or {'', 0, 0, '', ''}) do
      out[#out + 1] = v
    end
  end
  return out

elseif op == 'peek' then
  local out = {}
  for _, i in ipairs(call('ZRANGE', DEAD, ARGV[5], fmt(tonumber(ARGV[5]) + tonumber(ARGV[6]) - 1))) do
    local r = load(i)
    for _, v in ipairs({i, math.max(0, math.floor(now - tonumber(call('ZSCORE', DEAD, i)) / 1000)), tonumber(r.att), r.note, call('HGET', JOBS, i) or ''}) do out[#out + 1] = v end
  end
  return out

elseif op == 'replay' then
  local cap, ids, done, n = tonumber(ARGV[5]), {}, 0, depth()
  for i = 7, #ARGV do ids[#ids + 1] = ARGV[i] end
  if #ids == 0 then ids = call('ZRANGE', DEAD, 0, tonumber(ARGV[6]) - 1) end
  for _, i in ipairs(ids) do
    if n >= cap then break end
    local r = load(i)
    if r and r.s == 'x' then
      out_of(DEAD, i)
      r.tok = '0'; r.att = '0'; r.seen = '0'; r.exp = '0'; r.why = 'p'; r.note = ''
      wait(i, r, 0); count('replayed'); done = done + 1; n = n + 1
    end
  end
  flush()
  return {done, call('ZCARD', DEAD)}

elseif op == 'seal' then
  call('HSET', META, 'sealed', '1')
  return 1

elseif op == 'stats' then
  local out = {}
  for i, v in ipairs(call('HMGET', META, 'in', 'done', 'cancelled', 'dropped', 'rejected', 'expired', 'fenced', 'replayed', 'redelivered', 'sealed')) do
    out[i] = tonumber(v or '0')
  end
  for _, z in ipairs({READY, DELAYED, LEASE, DEAD}) do out[#out + 1] = call('ZCARD', z) end
  local head = call('ZRANGE', READY, 0, 0)[1]                  -- the next in line: the oldest of all where there is one priority
  out[#out + 1] = head and math.max(0, now - tonumber(load(head).born)) or 0
  out[#out + 1] = tonumber(call('HGET', META, 'failed') or '0')
  return out
end
return redis.error_reply('ERR unknown operation ' .. tostring(op))
