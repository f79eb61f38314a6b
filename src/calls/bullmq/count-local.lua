-- count-local: how many open calls of a command have no job? Reads only.
--
-- Joined with: redis/prelude.lua.
-- KEYS  open
-- ARGV  1 call prefix   2 command   3 prefix of BullMQ's jobs of the command
--
-- Answers the number: those that a process works off itself, and those whose process died and whose job the sweep is
-- about to add. Cost: a look at each open record, of which there are some hundreds at most.

nameKeys('open')
keys.callPrefix = ARGV[1]
local inHand = 0
for _, callId in ipairs(redis.call('ZRANGE', keys.open, 0, -1)) do
  if redis.call('HGET', keys.callPrefix .. callId, 'command') == ARGV[2] and redis.call('EXISTS', ARGV[3] .. callId) == 0 then
    inHand = inHand + 1
  end
end
return inHand
