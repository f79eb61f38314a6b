-- backlog: what stands before an event that is added now? Reads only.
--
-- Request  commands, whose calls started in the last second are asked for
-- Answers Backlog of backlog.ts, with held and paused as JSON. A call on the wire stands in nobody's way, nor
--   does one that is to be retried later.
-- Cost: a look at each open record, of which there are some hundreds at most.

nameKeys('stream', 'returned', 'open', 'hold', 'callPrefix', 'startedPrefix')
readRequest()
readClock()
local hold = readFields(keys.hold, 'held', 'paused')
local started, calls = {}, {}
for _, command in ipairs(request.commands) do
  started[command] = redis.call('ZCOUNT', keys.startedPrefix .. command, text(nowMicros - 1000000), nowMicrosText)
end
for _, callId in ipairs(redis.call('ZRANGE', keys.open, 0, 999)) do
  local r = readFields(keys.callPrefix .. callId, 'command', 'sentAt', 'dueAt')
  if r.command and not r.sentAt and tonumber(r.dueAt or 0) <= nowMs then
    calls[r.command] = (calls[r.command] or 0) + 1
  end
end
local waiting = redis.call('XLEN', keys.stream) + redis.call('LLEN', keys.returned)
return {
  map = {
    waiting = waiting, held = hold.held, paused = hold.paused, started = { map = started }, calls = { map = calls },
  },
}
