-- local-calls: how many open calls of a command have no job? Reads only.
--
-- Request  command, queue (its name in BullMQ)
-- Answers the number. It counts the calls that their process works on itself. It also counts those of a
-- process that died, until the sweep has added their jobs. Cost: one look at each open record, some hundreds
-- at most.

nameKeys('open', 'callPrefix', 'bullPrefix')
readRequest()
local bull, count = keys.bullPrefix .. ':' .. request.queue .. ':', 0
for _, callId in ipairs(redis.call('ZRANGE', keys.open, 0, -1)) do
  local isOurs = redis.call('HGET', keys.callPrefix .. callId, 'command') == request.command
  if isOurs and redis.call('EXISTS', bull .. callId) == 0 then
    count = count + 1
  end
end
return count
