-- give-up: a slot was missed. It does not count as a started call, and the slots are behind by its time: the next
-- ones lie nearer to each other until it is made up for, within what a rolling second has room for (slot.lua).
--
-- KEYS 1 started:<command>   2 pace:<command>
-- ARGV 1 slot number         2 spacing in force when it was granted (us)
-- A script, since a transaction is refused by a full Redis: with its first write needing no memory, this is not.

if redis.call('ZREM', KEYS[1], ARGV[1]) == 0 then
  return
end
local t = redis.call('TIME')
redis.call('HINCRBY', KEYS[2], 'givenUp', 1)
redis.call('HINCRBY', KEYS[2], 'behind', ARGV[2])
redis.call('HSET', KEYS[2], 'behindAt', string.format('%.0f', t[1] * 1000000 + t[2]))
