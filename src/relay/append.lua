-- append: adds the events of a relay to the stream, unless another relay has taken over. In one step, so that
-- what an old relay still holds cannot come after what the new one adds.
--
-- Request  epoch, events (fields of each, flat), mark (what the relay remembers with them; may be absent),
--   relay (name), server, waiting, oldestAgeMs (for status)
-- Answers { fenced = 1 } when the epoch is an old one: nothing was added; else { waiting = entries in the stream }.
-- A full Redis refuses it at the first XADD. An epoch that Redis has lost (a failover) is written again.
-- Cost: some 5 us an event.

nameKeys('relay', 'stream')
readRequest()
readClock()
local r = readFields(keys.relay, 'epoch')
if tonumber(r.epoch or 0) > request.epoch then
  return { map = { fenced = 1 } }
end
if #request.events == 0 then
  writeNothing('HDEL', keys.relay)
end
for _, event in ipairs(request.events) do
  redis.call('XADD', keys.stream, '*', unpack(event))
end
local state = cjson.encode({
  relay = request.relay, server = request.server, waiting = request.waiting, oldestAgeMs = request.oldestAgeMs,
  lastSeen = nowMs,
})
redis.call('HSET', keys.relay, 'epoch', request.epoch, 'state', state)
if request.mark then
  redis.call('HSET', keys.relay, request.mark[1], request.mark[2])
end
return { map = { waiting = redis.call('XLEN', keys.stream) } }
