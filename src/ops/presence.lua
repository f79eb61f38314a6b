-- presence: stores a worker's sign of life with the time of Redis. The worker's own clock may be wrong.
--
-- KEYS  workers    hash worker -> JSON of version, lastSeen (ms) and intake (where its HTTP intake listens)
-- ARGV 1 worker     2 version     3 intake ('' if it has none)
--
-- Answers { isNew, timeMs }. isNew is 1 when the worker was not in the list: at its start, or after Redis
-- lost its data. By timeMs, Redis's time, the worker knows how far its own clock is ahead.

nameKeys('workers')
writeNothing('HDEL', keys.workers)
readClock()
local seen = { version = ARGV[2], lastSeen = nowMs }
if ARGV[3] ~= '' then
  seen.intake = ARGV[3]
end
local isNew = redis.call('HSET', keys.workers, ARGV[1], cjson.encode(seen))
return { isNew, nowText }
