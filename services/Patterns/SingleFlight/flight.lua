-- One flight a key over all processes: who runs it, what came out, who waits in other processes. Three strings that expire by themselves; each op has one write that counts.
-- KEYS: 1 run("token expiryMs owner trace")  2 result("token D|E freshUntilMs graceUntilMs value": D done, E error)  3 waiters("owner expiryMs owner expiryMs ..")   {tag}
-- ARGV: 1 op  2 owner (one a process and flight)  3 leaseMs, which is also the grace, and how long a waiter counts without a word   then
--   join newest trace             -> {'lead',token} (a retry: again, renewed) | {'wait',token,msLeft,trace} | {'done'|'error',token,value}
--     newest: the highest token that this owner has waited for or led, '0' on arrival. Who arrives needs a fresh result; who waited takes any that is not older, in the grace.
--   leave                         -> {'ok',waiters}        a waiter gives up
--   extend token                  -> {'ok',waiters}        the leader is alive
--   done|error token value ttlMs  -> {'ok',waiters}, also on a retry
--   abandon token                 -> {'ok',0}: ended, nobody waits | {'busy',waiters}: renewed, go on      the leader's last local caller has left
--   release token                 -> {'ok',waiters}: ended, one that waits takes over                      the leader's process stops
--   forget                        -> {'ok',waiters}: no result, and the run is over
--   the leader's ops              -> {'fenced'} when the run is over or another one has begun; a late leader whom nobody has replaced goes on
-- Guarantee: time is the server's; at any moment one token can publish, and it publishes once; tokens of a key rise.
local call, op, me, lease = redis.call, ARGV[1], ARGV[2], tonumber(ARGV[3])
local RUN, RESULT, WAITERS = KEYS[1], KEYS[2], KEYS[3]
local t = call('TIME')
local us = tonumber(t[1]) * 1000000 + tonumber(t[2])
local now = math.floor(us / 1000)
local function fmt(x) return string.format('%.0f', x) end

local tok, exp, owner, trace = string.match(call('GET', RUN) or '', '^(%d+) (%d+) (%S+) (%S+)$')
local result = call('GET', RESULT) or ''
local rtok, state, fresh, grace, at = string.match(result, '^(%d+) (%a) (%d+) (%d+) ()')
local last, ended = tonumber(tok or '0'), tonumber(rtok or '0')
local runs = tok and tonumber(exp) > now and ended < last  -- a published run is over, also where the server died before it could say so
local others, n, waits = {}, 0, false
for o, e in string.gmatch(call('GET', WAITERS) or '', '(%S+) (%d+)') do
  if o == me then waits = true
  elseif tonumber(e) > now then
    n = n + 1
    others[n] = o .. ' ' .. e
  end
end
local function leave()
  if not waits then return end
  if n > 0 then call('SET', WAITERS, table.concat(others, ' '), 'PX', fmt(lease)) else call('DEL', WAITERS) end
end
local function run(token, who, from)
  call('SET', RUN, fmt(token) .. ' ' .. fmt(now + lease) .. ' ' .. who .. ' ' .. from, 'PX', fmt(lease * 2))
end

if op == 'join' then
  local newest = tonumber(ARGV[4])
  if rtok and ((state == 'D' and tonumber(fresh) > now) or (newest > 0 and ended >= newest and tonumber(grace) > now)) then
    leave()
    return {state == 'D' and 'done' or 'error', rtok, string.sub(result, at)}
  end
  if owner == me and newest >= last then runs = false end  -- it has given that run up: the next one has a token of its own
  if runs and owner ~= me then
    n = n + 1
    others[n] = me .. ' ' .. fmt(now + lease)
    call('SET', WAITERS, table.concat(others, ' '), 'PX', fmt(lease))
    return {'wait', tok, tonumber(exp) - now, trace}
  end
  leave()
  if not runs then last = math.max(last + 1, ended + 1, newest + 1, us) end  -- nobody, or the leader's lease ran out
  run(last, me, ARGV[5])
  return {'lead', fmt(last)}
end
if op == 'leave' then leave() return {'ok', n} end
if op == 'forget' then call('DEL', RUN, RESULT) return {'ok', n} end

if (op == 'done' or op == 'error') and rtok == ARGV[4] then return {'ok', n} end
if tok ~= ARGV[4] or ended >= last then return {'fenced'} end
if op == 'extend' or (op == 'abandon' and n > 0) then
  run(last, owner, trace)
  return {op == 'extend' and 'ok' or 'busy', n}
end
if op == 'abandon' or op == 'release' then call('DEL', RUN) return {'ok', n} end
if op == 'done' or op == 'error' then
  local ttl = tonumber(ARGV[6])
  local keep = math.max(ttl, lease)
  call('SET', RESULT, table.concat({tok, op == 'done' and 'D' or 'E', fmt(now + ttl), fmt(now + lease), ARGV[5]}, ' '), 'PX', fmt(keep))
  return {'ok', n}
end
return redis.error_reply('ERR unknown operation ' .. tostring(op))
