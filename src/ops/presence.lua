-- presence: a worker's sign of life, by Redis's clock, since the worker's own may be off by minutes.
--
-- Joined with: redis/prelude.lua.
-- KEYS  workers    hash worker -> JSON of version, lastSeen (ms) and intake (where its HTTP intake listens)
-- ARGV 1 worker     2 version     3 intake ('' if it has none)
--
-- Answers {1 if the worker stood nowhere before (at its start, or when what Redis held is gone), Redis's time (ms),
-- by which the worker knows how far its own clock is off}.

nameKeys('workers')
writeNothing('HDEL', keys.workers)
readClock()
local seen = { version = ARGV[2], lastSeen = nowMs }
if ARGV[3] ~= '' then
  seen.intake = ARGV[3]
end
local isNew = redis.call('HSET', keys.workers, ARGV[1], cjson.encode(seen))
return { isNew, nowText }
