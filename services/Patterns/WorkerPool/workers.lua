-- Who has workers and what they run, and what all of them are told. Each call has one write that matters, so none can be torn.
-- KEYS: 1 workers(hash name->"expiryMs reportedMs report")  2 control(hash: closed, paused, size)                        all {jobs}
-- ARGV: 1 op, then by op:
--   beat  name ttlMs report -> control     keeps a process on the list for ttlMs
--   leave name              -> control     takes it off
--   set   field value ..    -> control     closed(0|1: submits are refused) paused(0|1: workers hand back and take nothing) size(0 = as configured)
--   read                    -> control
--   list                    -> control, then {name ageMs report}..; forgets processes that are silent
-- control is {closed, paused, size}. Guarantee: time is the server's; a repeated call does what one does.
local call, unpack, op = redis.call, unpack or table.unpack, ARGV[1]
local WORKERS, CONTROL = KEYS[1], KEYS[2]
local t = call('TIME')
local now = tonumber(t[1]) * 1000 + math.floor(tonumber(t[2]) / 1000)
local function fmt(x) return string.format('%.0f', x) end

if op == 'beat' then call('HSET', WORKERS, ARGV[2], fmt(now + tonumber(ARGV[3])) .. ' ' .. fmt(now) .. ' ' .. ARGV[4])
elseif op == 'leave' then call('HDEL', WORKERS, ARGV[2])
elseif op == 'set' then call('HSET', CONTROL, unpack(ARGV, 2))
elseif op ~= 'read' and op ~= 'list' then return redis.error_reply('ERR unknown operation ' .. tostring(op)) end

local out = {}
for i, v in ipairs(call('HMGET', CONTROL, 'closed', 'paused', 'size')) do out[i] = tonumber(v or '0') end
if op == 'list' then
  local all, silent = call('HGETALL', WORKERS), {}
  for i = 1, #all, 2 do
    local expiry, reported, report = string.match(all[i + 1], '^(%d+) (%d+) (.*)$')
    if tonumber(expiry) <= now then silent[#silent + 1] = all[i]
    else
      out[#out + 1] = all[i]
      out[#out + 1] = math.max(0, now - tonumber(reported))
      out[#out + 1] = report
    end
  end
  for _, name in ipairs(silent) do call('HDEL', WORKERS, name) end
end
return out
