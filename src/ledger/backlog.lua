-- backlog: what stands before an event that is added now? Reads only.
--
-- Joined with: redis/prelude.lua.
-- KEYS  stream, returned, open, hold, then `started` of each command that is asked about
-- ARGV  1 prefix of the call records
--
-- Answers {entries that wait, held (JSON) or '', paused (JSON) or '', {calls started in the last second, of each
-- command asked about}, command, users, calls, ...}: the calls that wait for their slot, by command. A call on the
-- wire stands in nobody's way, nor does one that is to be retried later.
-- Cost: a look at each open record, of which there are some hundreds at most.

nameKeys('stream', 'returned', 'open', 'hold')
keys.callPrefix = ARGV[1]
readClock()
local hold = readFields(keys.hold, 'held', 'paused')
local users, calls, commands = {}, {}, {}
for _, callId in ipairs(redis.call('ZRANGE', keys.open, 0, 999)) do
  local r = redis.call('HMGET', keys.callPrefix .. callId, 'command', 'users', 'sentAt', 'dueAt')
  if r[1] and not r[3] and tonumber(r[4] or 0) <= nowMs then
    if not calls[r[1]] then
      commands[#commands + 1] = r[1]
    end
    calls[r[1]] = (calls[r[1]] or 0) + 1
    users[r[1]] = (users[r[1]] or 0) + tonumber(r[2] or 0)
  end
end
local started = {}
for i = 5, #KEYS do
  keys.started = KEYS[i]
  started[#started + 1] = redis.call('ZCOUNT', keys.started, text(nowMicros - 1000000), nowMicrosText)
end
local waiting = redis.call('XLEN', keys.stream) + redis.call('LLEN', keys.returned)
local answer = { waiting, hold.held or '', hold.paused or '', started }
for _, command in ipairs(commands) do
  answer[#answer + 1] = command
  answer[#answer + 1] = users[command]
  answer[#answer + 1] = calls[command]
end
return answer
