-- backlog: what stands before an event that is added now? Reads only.
--
-- Request  commands, whose calls started in the last second are asked for
-- Answers {entries that wait, held (JSON) or '', paused (JSON) or '', {calls started, of each command},
--   command, users, calls, ...}: the calls that wait for their slot, by command. A call on the wire stands in
--   nobody's way, nor does one that is to be retried later.
-- Cost: a look at each open record, of which there are some hundreds at most.

nameKeys('stream', 'returned', 'open', 'hold', 'callPrefix', 'startedPrefix')
readRequest()
readClock()
local hold = readFields(keys.hold, 'held', 'paused')
local started, waiting = {}, {}
for i, command in ipairs(request.commands) do
  started[i] = redis.call('ZCOUNT', keys.startedPrefix .. command, text(nowMicros - 1000000), nowMicrosText)
end
for _, callId in ipairs(redis.call('ZRANGE', keys.open, 0, 999)) do
  local r = readFields(keys.callPrefix .. callId, 'command', 'users', 'sentAt', 'dueAt')
  if r.command and not r.sentAt and tonumber(r.dueAt or 0) <= nowMs then
    local of = waiting[r.command] or { users = 0, calls = 0 }
    waiting[r.command] = { users = of.users + tonumber(r.users or 0), calls = of.calls + 1 }
  end
end
local entries = redis.call('XLEN', keys.stream) + redis.call('LLEN', keys.returned)
local answer = { entries, hold.held or '', hold.paused or '', started }
for command, of in pairs(waiting) do
  answer[#answer + 1] = command
  answer[#answer + 1] = of.users
  answer[#answer + 1] = of.calls
end
return answer
