-- give-up: a slot was missed. It does not count as a started call; its time is given to nobody.
--
-- KEYS 1 started:<command>   2 pace:<command>
-- ARGV 1 slot number
-- A script, since a transaction is refused by a full Redis: with its first write needing no memory, this is not.

redis.call('ZREM', KEYS[1], ARGV[1])
redis.call('HINCRBY', KEYS[2], 'givenUp', 1)
