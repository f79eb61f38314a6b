-- left-late: a call left after its slot, since the process was held up between its last look at the clock and
-- the write. What comes a second later is put off by as much (gcra.lua), or a rolling second would hold one
-- too many.
--
-- KEYS  started, pace: of the command
-- ARGV  1 slot number   2 when it left (us, Redis's clock)

nameKeys('started', 'pace')
writeNothing('HDEL', keys.pace)
if redis.call('ZADD', keys.started, 'XX', 'CH', ARGV[2], ARGV[1]) == 1 then
  redis.call('HSET', keys.pace, 'nearAt', ARGV[2])
end
