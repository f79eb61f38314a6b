-- delete-letters: dead letters are forgotten, with their indexes and counts. Their events stay counted as
-- dead-lettered: that was their end.
--
-- Shares letter-index.lua.
-- KEYS 1 books  2 dead-by-time  3 dead-by-user  4 dead-by-code  5 dead-by-reason  6 dead-users  7 dead-counts
--      8 dead-resolved
-- ARGV 1 dead prefix  2.. pairs (eventId, time of death as it was read)
--
-- Answers a word for each: 'deleted', 'gone', 'redriving' (its event is in a call), or 'changed' (it died again
-- since it was read, so it may not be what was meant).
-- Atomic, so that no index names a letter that is gone. Cost: O(letters · log of all).

-- A write that needs no memory comes first: so a full Redis runs the rest, too (docs/decisions/0050).
redis.call('HDEL', KEYS[1], '')

local index = letterIndex(2)
local answers, dead = {}, 0
for i = 2, #ARGV, 2 do
  local eventId, key = ARGV[i], ARGV[1] .. ARGV[i]
  local h = redis.call('HMGET', key, 'state', 'deadAt', 'userId', 'reason', 'code')
  local word = 'deleted'
  if not h[1] then
    word = 'gone'
  elseif h[1] == 'redriving' then
    word = 'redriving'
  elseif h[2] ~= ARGV[i + 1] then
    word = 'changed'
  else
    if h[1] == 'dead' then
      unlistLetter(index, eventId, h[3], h[4], h[5])
      dead = dead + 1
    else
      redis.call('ZREM', KEYS[8], eventId)
    end
    redis.call('DEL', key)
  end
  answers[#answers + 1] = word
end
if dead > 0 then
  redis.call('HINCRBY', KEYS[1], 'deadDeleted', dead)
end
return answers
