-- proof: does every event that the books count in calls stand in an open call? Reads only.
--
-- KEYS 1 open-calls  2 books
-- ARGV 1 call prefix  2 most open calls to look at
--
-- Answers the events that the books count in calls less those that the open records hold: 0 when nothing is
-- orphaned, and 0 when more calls are open than are looked at.
-- One step, since calls open and close all the time. Cost: O(open calls), some hundred.

if redis.call('ZCARD', KEYS[1]) > tonumber(ARGV[2]) then
  return 0
end
local held = 0
for _, callId in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
  held = held + tonumber(redis.call('HGET', ARGV[1] .. callId, 'events') or 0)
end
return tonumber(redis.call('HGET', KEYS[2], 'events') or 0) - held
