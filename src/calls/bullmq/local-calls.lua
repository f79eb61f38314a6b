-- local-calls: how many open calls of a command have no job? Reads only.
--
-- KEYS 1 open-calls
-- ARGV 1 call prefix   2 command   3 prefix of BullMQ's jobs of the command
--
-- Answers the number. It counts the calls that their process works on itself. It also counts those of a
-- process that died, until the sweep has added their jobs. Cost: one look at each open record, some hundreds
-- at most.

local count = 0
for _, callId in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
  if redis.call('HGET', ARGV[1] .. callId, 'command') == ARGV[2] and redis.call('EXISTS', ARGV[3] .. callId) == 0 then
    count = count + 1
  end
end
return count
