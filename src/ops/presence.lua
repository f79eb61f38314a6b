-- presence: stores a worker's sign of life with the time of Redis, since the worker's own clock may be wrong;
-- and keeps the history of the fleet, so that it costs no command more.
--
-- Joined with: ledger/oldest-waiting.lua, history/sample.lua, history/bands.lua.
-- Request  id, version, intake (where its HTTP intake listens; '' if it has none), odd (events by kind)
--          settings  absent, or the worker's settings (JSON text)
--          counts    what this worker counted since its last sign: name -> number; [] for nothing
--          command   of batch calls; rate, quota: calls/s in force and allowed
-- Answers { isNew, timeMs, problem }. isNew is 1 when the worker was not in the list: at its start, or after Redis
-- lost its data. By timeMs, Redis's time, the worker knows how far its own clock is ahead. problem: why the
-- history could not be kept, if so.
-- Cost: O(workers), every 10 s; once in 10 minutes 30 points are merged, which takes 1 ms.

nameKeys('workers', 'workerSettings', 'stream', 'returned', 'books', 'deadCounts', 'hold', 'pacePrefix', 'historyNow',
  'historySeconds', 'historyMinutes', 'historyTens', 'bands', 'openBands')
readRequest()
keys.pace = keys.pacePrefix .. request.command
writeNothing('HDEL', keys.workers)
readClock()
local seen = { version = request.version, lastSeen = nowMs, odd = next(request.odd) and request.odd or nil }
if request.intake ~= '' then
  seen.intake = request.intake
end
local isNew = redis.call('HSET', keys.workers, request.id, cjson.encode(seen))
if request.settings then
  redis.call('HSET', keys.workerSettings, request.id, request.settings)
end
for name, count in pairs(request.counts) do
  redis.call('HINCRBY', keys.historyNow, 'n:' .. name, count)
end
-- What is wrong with the history must not make the worker look dead.
local kept, problem = pcall(function()
  noteBands()
  sample()
end)
if kept then
  return { isNew, nowText }
end
return { isNew, nowText, type(problem) == 'table' and problem.err or problem }
