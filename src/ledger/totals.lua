-- totals: where every event is, at one moment. Reads only.
--
-- Joined with: oldest-waiting.lua.
-- Answers nowMs, inStream, returned, books and deadCounts (their fields), suspectedCalls, unaccounted
--   (events), and times in ms where there is one: oldestWaitingMs, oldestLetterMs, oldestOpenMs (when the
--   oldest event in an open call was accepted)
-- Request  mostOpen: while no more calls are open, the events that the books count in calls, less those
--          that the open records hold, are answered as unaccounted; otherwise 0
-- Cost: O(distinct error codes among the letters), and O(open calls) with mostOpen.

nameKeys('stream', 'returned', 'books', 'deadCounts', 'deadByTime', 'open', 'openSince', 'isolated', 'callPrefix')
readRequest()
readClock()
local oldest, returned = oldestWaiting()
-- A record that another version has closed may still stand in the list: the sweep takes it out.
local oldestOpen
local open = redis.call('ZRANGE', keys.openSince, 0, 99, 'WITHSCORES')
for i = 1, #open, 2 do
  if redis.call('EXISTS', keys.callPrefix .. open[i]) == 1 then
    oldestOpen = tonumber(open[i + 1])
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
  map = {
    nowMs = nowMs, inStream = redis.call('XLEN', keys.stream), returned = returned,
    books = redis.call('HGETALL', keys.books), deadCounts = redis.call('HGETALL', keys.deadCounts),
    oldestWaitingMs = oldest, oldestOpenMs = oldestOpen, oldestLetterMs = tonumber(letter[2]),
    suspectedCalls = redis.call('ZCARD', keys.isolated), unaccounted = unaccounted,
  },
}
