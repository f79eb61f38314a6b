-- presence: stores a worker's sign of life with the time of Redis. The worker's own clock may be wrong.
--
-- Request  id, version, intake (where its HTTP intake listens; '' if it has none), odd (events by kind)
-- Answers { isNew, timeMs }. isNew is 1 when the worker was not in the list: at its start, or after Redis
-- lost its data. By timeMs, Redis's time, the worker knows how far its own clock is ahead.

nameKeys('workers')
readRequest()
writeNothing('HDEL', keys.workers)
readClock()
local seen = { version = request.version, lastSeen = nowMs, odd = next(request.odd) and request.odd or nil }
if request.intake ~= '' then
  seen.intake = request.intake
end
local isNew = redis.call('HSET', keys.workers, request.id, cjson.encode(seen))
return { isNew, nowText }
