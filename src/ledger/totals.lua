-- totals: where every event is, at one moment. Reads only.
--
-- Answers {now ms, stream length, returned, oldest waiting ms or '', oldest letter ms or '', {books ...},
--   {dead-counts ...}, when the oldest event in an open call was accepted (ms) or '',
--   calls in which all users are suspected, unaccounted events}
-- Request  mostOpen: while no more calls are open, the events that the books count in calls, less those
--          that the open records hold, are answered as unaccounted; otherwise 0
-- Cost: O(distinct error codes among the letters), and O(open calls) with mostOpen.

nameKeys('stream', 'returned', 'books', 'deadCounts', 'deadByTime', 'open', 'openSince', 'isolated', 'callPrefix')
readRequest()
readClock()
local oldest = ''
local head = redis.call('XRANGE', keys.stream, '-', '+', 'COUNT', 1)
if head[1] then
  oldest = string.match(head[1][1], '^%d+')
end
local returned = redis.call('LLEN', keys.returned)
if returned > 0 then
  -- An ID says when its event was accepted, which is what an age is counted from. What came back last stands
  -- first, so the oldest may be at either end.
  for _, at in ipairs({ 0, -1 }) do
    local accepted = string.match(redis.call('LINDEX', keys.returned, at), '^%["(%d+)')
    if accepted and (oldest == '' or tonumber(accepted) < tonumber(oldest)) then
      oldest = accepted
    end
  end
end
-- A record that another version has closed may still stand in the list: the sweep takes it out.
local oldestOpen = ''
local open = redis.call('ZRANGE', keys.openSince, 0, 99, 'WITHSCORES')
for i = 1, #open, 2 do
  if redis.call('EXISTS', keys.callPrefix .. open[i]) == 1 then
    oldestOpen = open[i + 1]
    break
  end
end
local unaccounted = 0
if redis.call('ZCARD', keys.open) <= (request.mostOpen or -1) then
  unaccounted = tonumber(redis.call('HGET', keys.books, 'events') or 0)
  for _, callId in ipairs(redis.call('ZRANGE', keys.open, 0, -1)) do
    unaccounted = unaccounted - tonumber(redis.call('HGET', keys.callPrefix .. callId, 'events') or 0)
  end
end
local letter = redis.call('ZRANGE', keys.deadByTime, 0, 0, 'WITHSCORES')
return {
  nowText,
  redis.call('XLEN', keys.stream), returned, oldest, letter[2] or '',
  redis.call('HGETALL', keys.books), redis.call('HGETALL', keys.deadCounts),
  oldestOpen, redis.call('ZCARD', keys.isolated), unaccounted,
}
