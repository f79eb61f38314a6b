-- count-in-hand: how many open calls of a command have no job? Reads only.
--
-- KEYS 1 open-calls
-- ARGV 1 call prefix   2 command   3 prefix of BullMQ's jobs of the command
--
-- Answers the number: those that a process works off itself, and those whose process died and whose job the sweep is
-- about to add. Cost: a look at each open record, of which there are some hundreds at most.

local inHand = 0
for _, callId in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
  if redis.call('HGET', ARGV[1] .. callId, 'command') == ARGV[2] and redis.call('EXISTS', ARGV[3] .. callId) == 0 then
    inHand = inHand + 1
  end
end
return inHand
