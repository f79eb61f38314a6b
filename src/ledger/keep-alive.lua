-- keep-alive: a process still works on these calls. Without it the sweep would give them to another one.
--
-- Joined with: redis/prelude.lua.
-- KEYS  open
-- ARGV  callIds
--
-- Never brings a call forward that was put off meanwhile, nor one back that is closed. Cost: O(calls · log open calls).

nameKeys('open')
writeNothing('ZREM', keys.open)
readClock()
for i = 1, #ARGV do
  redis.call('ZADD', keys.open, 'XX', 'GT', nowText, ARGV[i])
end
