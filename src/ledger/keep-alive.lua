-- still-moving: a process still works on these calls. Without it the sweep would give them to somebody else.
--
-- KEYS 1 open-calls
-- ARGV callIds
--
-- Never brings a call forward that was put off meanwhile, nor one back that is closed. Cost: O(calls · log open calls).

-- A write that needs no memory comes first: so a full Redis runs the rest, too (docs/decisions/0050).
redis.call('ZREM', KEYS[1], '')
local t = redis.call('TIME')
local now = string.format('%.0f', t[1] * 1000 + math.floor(t[2] / 1000))
for i = 1, #ARGV do
  redis.call('ZADD', KEYS[1], 'XX', 'GT', now, ARGV[i])
end
