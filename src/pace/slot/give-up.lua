-- give-up: a slot was missed. It does not count as a started call, and the next slots lie nearer to each
-- other until it is made up for, within what a rolling second has room for (gcra.lua).
--
-- KEYS  started, pace: of the command
-- ARGV  1 slot number   2 spacing (us) in force when it was granted
-- A full Redis would refuse a transaction, but not this script: its first write needs no memory.

nameKeys('started', 'pace')
if redis.call('ZREM', keys.started, ARGV[1]) == 0 then
  return
end
readClock()
redis.call('HINCRBY', keys.pace, 'givenUp', 1)
redis.call('HINCRBY', keys.pace, 'behind', ARGV[2])
redis.call('HSET', keys.pace, 'behindAt', nowMicrosText)
