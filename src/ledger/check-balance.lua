-- check-balance: does every event that the books count in calls stand in an open call? Reads only.
--
-- Joined with: redis/prelude.lua.
-- KEYS  open, books
-- ARGV  1 call prefix  2 most open calls to look at
--
-- Answers the events that the books count in calls less those that the open records hold: 0 when nothing is
-- orphaned, and 0 when more calls are open than are looked at.
-- One step, since calls open and close all the time. Cost: O(open calls), some hundred.

nameKeys('open', 'books')
keys.callPrefix = ARGV[1]
if redis.call('ZCARD', keys.open) > tonumber(ARGV[2]) then
  return 0
end
local held = 0
for _, callId in ipairs(redis.call('ZRANGE', keys.open, 0, -1)) do
  held = held + tonumber(redis.call('HGET', keys.callPrefix .. callId, 'events') or 0)
end
return tonumber(redis.call('HGET', keys.books, 'events') or 0) - held
