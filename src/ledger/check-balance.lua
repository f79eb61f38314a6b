-- check-balance: the events that the books count in calls, less those that the open records hold. 0 when nothing is
-- orphaned, and 0 when more calls are open than are looked at (request: mostOpen). Reads only, in one step, since calls
-- open and close all the time. Cost: O(open calls), some hundred.

nameKeys('open', 'books', 'callPrefix')
readRequest()
if redis.call('ZCARD', keys.open) > request.mostOpen then
  return 0
end
local held = 0
for _, callId in ipairs(redis.call('ZRANGE', keys.open, 0, -1)) do
  held = held + tonumber(redis.call('HGET', keys.callPrefix .. callId, 'events') or 0)
end
return tonumber(redis.call('HGET', keys.books, 'events') or 0) - held
