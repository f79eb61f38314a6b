-- claim: a run takes a call record over.
--
-- Request  callId, run, format (of the records), maxWaitMs (the longest that a retry is put off)
-- Answers {'gone'}                     finished work
--         {'foreign', format}          another version wrote it: left for that version
--         {'early', wait ms}           not due yet (its job came back from a worker that died)
--         {'yours', now ms, when the newest call that passed started (ms) or '0', field, value, ...}
-- Atomic, so that of two runs the later one owns the record and the earlier one can do nothing more.

nameKeys('callPrefix', 'open', 'hold')
readRequest()
keys.call = keys.callPrefix .. request.callId
writeNothing('HDEL', keys.call)

local record = readFields(keys.call, 'v', 'dueAt')
if not record.v then
  return { 'gone' }
end
readClock()
if tonumber(record.v) ~= request.format then
  -- It does not stand in the way of others meanwhile: see back-pressure in intake/cut/due.lua.
  redis.call('ZADD', keys.open, text(nowMs + 5000), request.callId)
  return { 'foreign', record.v }
end
local wait = tonumber(record.dueAt or 0) - nowMs
-- A due time further away than any back-off comes from another clock.
if wait > 1 and wait <= request.maxWaitMs then
  return { 'early', wait }
end
redis.call('HSET', keys.call, 'run', request.run)
redis.call('ZADD', keys.open, nowText, request.callId)
return {
  'yours', nowText, redis.call('HGET', keys.hold, 'passedAt') or '0',
  unpack(redis.call('HGETALL', keys.call)),
}
