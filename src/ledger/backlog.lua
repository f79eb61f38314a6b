-- backlog: what stands before an event that is added now? Reads only.
--
-- KEYS 1 stream  2 returned  3 open-calls  4 hold  5.. slots started, of each command that is asked about
-- ARGV 1 prefix of the call records
--
-- Answers {entries that wait, held (JSON) or '', paused (JSON) or '', {calls started in the last second, of each
-- command asked about}, command, users, calls, ...}: the calls that wait for their slot, by command. A call on the wire stands in nobody's way, nor does one that is to be retried
-- later. Cost: a look at each open record, of which there are some hundreds at most.

local t = redis.call('TIME')
local nowMs = t[1] * 1000 + math.floor(t[2] / 1000)
local h = redis.call('HMGET', KEYS[4], 'held', 'paused')
local users, calls, commands = {}, {}, {}
for _, callId in ipairs(redis.call('ZRANGE', KEYS[3], 0, 999)) do
  local r = redis.call('HMGET', ARGV[1] .. callId, 'command', 'users', 'sentAt', 'dueAt')
  if r[1] and not r[3] and tonumber(r[4] or 0) <= nowMs then
    if not calls[r[1]] then
      commands[#commands + 1] = r[1]
    end
    calls[r[1]] = (calls[r[1]] or 0) + 1
    users[r[1]] = (users[r[1]] or 0) + tonumber(r[2] or 0)
  end
end
local nowMicros = t[1] * 1000000 + t[2]
local started = {}
for i = 5, #KEYS do
  started[#started + 1] = redis.call('ZCOUNT', KEYS[i], string.format('%.0f', nowMicros - 1000000), string.format('%.0f', nowMicros))
end
local answer = { redis.call('XLEN', KEYS[1]) + redis.call('LLEN', KEYS[2]), h[1] or '', h[2] or '', started }
for _, command in ipairs(commands) do
  answer[#answer + 1] = command
  answer[#answer + 1] = users[command]
  answer[#answer + 1] = calls[command]
end
return answer
