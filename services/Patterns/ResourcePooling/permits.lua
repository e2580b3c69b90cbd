-- Permits for open resources over all processes, given in the order of arrival. A process holds them, and its places in line, under one lease.
-- KEYS: 1 permits(hash: number -> "instance ticket token", '' free; '#token' '#place' '#generation' '#cleared' '#granted' '#released' '#expired' '#fenced')
--       2 line(zset "instance ticket" -> score) 3 instances(zset instance -> expiryMs)                                             {tag}
-- ARGV: 1 op 2 instance (new for each stay) 3 limit 4 leaseMs, then
--   join                   begins a stay; all others need one that is not over
--   beat ticket..          renews, and lines up with tickets (whole numbers of the instance's own, rising) that have no permit and no place yet;
--                          -ticket leaves the line (a permit that it was granted meanwhile is in the answer: release it)
--   pass number token      somebody of this instance comes first: he gets the permit in place of its holder, under a new token
--   release number token.. gives them back: close what was open under them first
--   leave                  ends the stay
--   clear id               begins a generation; the same id begins it once
--   stats -> {0, waiting, generation, held, 0, processes, granted, released, expired, fenced}
-- else -> {answer, waiting, generation, held, wake, then number, ticket, token for each permit of this instance}
--   answer: 1 done, 0 not held any more (pass; one of release), 2 another instance comes first, 3 nobody waits (pass), -1 the stay is over: nothing is held
--   wake: 1 when others should look, because they were granted something, or because the line has begun
-- Guarantee: never more than limit permits, each with one holder; a place is overtaken by nobody; tokens rise for ever; granted = held + released + expired.
-- All changes to permits are one HSET. A place is added before it and taken away after it, so a script that a kill cuts off is completed by any later call.
local call = redis.call
local PERMITS, LINE, INSTANCES = KEYS[1], KEYS[2], KEYS[3]
local op, me, limit, lease = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local t = call('TIME')
local us = tonumber(t[1]) * 1000000 + tonumber(t[2])
local now = math.floor(us / 1000)
local function fmt(x) return string.format('%.0f', x) end

local state, changed = {}, {}
local raw = call('HGETALL', PERMITS)
for i = 1, #raw, 2 do state[raw[i]] = raw[i + 1] end
local function set(field, value) state[field], changed[field] = value, value end
local function number(field) return tonumber(state[field] or '0') end
local function count(field) set(field, fmt(number(field) + 1)) end

local live, processes = {}, 0
raw = call('ZRANGE', INSTANCES, 0, -1, 'WITHSCORES')
for i = 1, #raw, 2 do
  if tonumber(raw[i + 1]) > now then live[raw[i]] = true processes = processes + 1 else call('ZREM', INSTANCES, raw[i]) end
end
if op == 'join' or (op ~= 'stats' and live[me]) then
  if not live[me] then live[me] = true processes = processes + 1 end
  call('ZADD', INSTANCES, fmt(now + lease), me)
end

local holders, held = {}, 0  -- "instance ticket" -> number
local function parse(value) return string.match(value, '^(%S+) (%d+) (%d+)$') end
for field, value in pairs(state) do
  if string.sub(field, 1, 1) ~= '#' and value ~= '' then
    local instance, ticket = parse(value)
    if live[instance] then
      holders[instance .. ' ' .. ticket] = field
      held = held + 1
    else
      set(field, '')
      count('#expired')
    end
  end
end

local gone = {}
local function head()  -- the first in line that is alive and has nothing yet
  local at = 0
  while true do
    local first = call('ZRANGE', LINE, at, at)[1]
    if not first then return nil end
    if live[string.match(first, '^(%S+) ')] and not holders[first] then return first end
    gone[#gone + 1] = first
    at = at + 1
  end
end
local function grant(place, who)
  set('#token', fmt(math.max(number('#token') + 1, us)))
  set(place, who .. ' ' .. state['#token'])
  gone[#gone + 1] = who
  count('#granted')
  holders[who] = place
end
local function free(place, counter)
  holders[string.match(state[place], '^(%S+ %d+) ')] = nil
  set(place, '')
  count(counter)
end

local answer, wake, began = 1, 0, false
local function mine(place, token)  -- whether this instance holds the permit under this token
  local instance, _, current = parse(state[place] or '')
  return instance == me and current == token
end
if op == 'stats' then
  answer = 0
elseif not live[me] then
  answer = -1
  if op == 'pass' or op == 'release' then count('#fenced') end
elseif op == 'beat' then
  began = call('ZCARD', LINE) == 0
  for i = 5, #ARGV do
    local who = me .. ' ' .. string.gsub(ARGV[i], '^-', '')
    if string.sub(ARGV[i], 1, 1) == '-' then
      call('ZREM', LINE, who)
    elseif not holders[who] and not call('ZSCORE', LINE, who) then
      set('#place', fmt(math.max(number('#place') + 1, us)))
      call('ZADD', LINE, state['#place'], who)
    end
  end
elseif op == 'release' then
  for i = 5, #ARGV, 2 do
    if mine(ARGV[i], ARGV[i + 1]) then
      free(ARGV[i], '#released')
      held = held - 1
    else
      answer = 0
      count('#fenced')
    end
  end
elseif op == 'pass' then
  local place = ARGV[5]
  if not mine(place, ARGV[6]) then
    answer = 0
    count('#fenced')
  else
    local first = head()
    if not first then answer = 3
    elseif string.match(first, '^(%S+) ') ~= me then answer = 2
    else
      free(place, '#released')
      grant(place, first)
    end
  end
elseif op == 'clear' then
  if state['#cleared'] ~= ARGV[5] then
    set('#cleared', ARGV[5])
    count('#generation')
    wake = 1
  end
elseif op == 'leave' then
  for who, place in pairs(holders) do
    if string.match(who, '^(%S+) ') == me then
      free(place, '#released')
      held = held - 1
    end
  end
  live[me] = nil
end

-- Whoever calls, what is free goes to the first in line.
if op ~= 'stats' then
  local place = 0
  while true do
    local first = head()
    if not first or held >= limit then break end
    while (state[fmt(place)] or '') ~= '' do place = place + 1 end
    grant(fmt(place), first)
    held = held + 1
    if string.match(first, '^(%S+) ') ~= me then wake = 1 end
  end
  local flat = {}
  for field, value in pairs(changed) do flat[#flat + 1] = field flat[#flat + 1] = value end
  if #flat > 0 then call('HSET', PERMITS, (unpack or table.unpack)(flat)) end
  for _, who in ipairs(gone) do call('ZREM', LINE, who) end
  if op == 'leave' then call('ZREM', INSTANCES, me) end
end

local waiting = call('ZCARD', LINE)
if began and waiting > 0 then wake = 1 end
if op == 'stats' then
  return {0, waiting, number('#generation'), held, 0, processes, number('#granted'), number('#released'), number('#expired'), number('#fenced')}
end
local out = {answer, waiting, number('#generation'), held, answer >= 0 and wake or 0}
for who, place in pairs(holders) do
  local instance, ticket = string.match(who, '^(%S+) (%d+)$')
  if instance == me and answer ~= -1 then
    out[#out + 1] = place
    out[#out + 1] = ticket
    out[#out + 1] = string.match(state[place], '(%d+)$')
  end
end
return out
