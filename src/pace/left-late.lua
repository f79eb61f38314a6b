-- left late: the bytes of a call left after its slot, since the process was held up between its last look at the clock
-- and the write. A second counts from when the call left: what comes a second later is put off by as much (slot.lua),
-- or a rolling second would hold one call too many.
--
-- KEYS 1 started:<command>   2 pace:<command>
-- ARGV 1 slot number         2 when it left (us, Redis's clock)

-- A write that needs no memory comes first: so a full Redis runs the rest, too (docs/decisions/0050).
redis.call('HDEL', KEYS[2], '')
if redis.call('ZADD', KEYS[1], 'XX', 'CH', ARGV[2], ARGV[1]) == 1 then
  redis.call('HSET', KEYS[2], 'nearAt', ARGV[2])
end
