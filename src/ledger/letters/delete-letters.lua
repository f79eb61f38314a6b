-- delete-letters: dead letters are forgotten, with their indexes and counts. Their events stay counted as
-- dead-lettered: that was their end.
--
-- Joined with: redis/prelude.lua, letter-index.lua.
-- KEYS     books, deadByTime, deadByUser, deadByCode, deadByReason, deadUsers, deadCounts, deadResolved
-- Request  deadPrefix
--          letters   [eventId, time of death as it was read (text), ...]
-- Answers a word for each: 'deleted', 'gone', 'redriving' (its event is in a call), or 'changed' (it died once more
--   since it was read, so it may not be what was meant).
-- Cost: O(letters · log of all). Atomic, so that no index names a letter that is gone.

nameKeys('books', 'deadByTime', 'deadByUser', 'deadByCode', 'deadByReason', 'deadUsers', 'deadCounts', 'deadResolved')
readRequest()
keys.deadPrefix = request.deadPrefix
writeNothing('HDEL', keys.books)

-- Answers the word, and whether the letter was unresolved.
local function delete(eventId, deadAt)
  local deadLetter = keys.deadPrefix .. eventId
  local letter = readFields(deadLetter, 'state', 'deadAt', 'userId', 'reason', 'code')
  if not letter.state then
    return 'gone', false
  elseif letter.state == 'redriving' then
    return 'redriving', false
  elseif letter.deadAt ~= deadAt then
    return 'changed', false
  end
  if letter.state == 'dead' then
    unlistLetter(eventId, letter.userId, letter.reason, letter.code)
  else
    redis.call('ZREM', keys.deadResolved, eventId)
  end
  redis.call('DEL', deadLetter)
  return 'deleted', letter.state == 'dead'
end

local words, dead = {}, 0
for i = 1, #request.letters, 2 do
  local word, wasDead = delete(request.letters[i], request.letters[i + 1])
  words[#words + 1] = word
  dead = dead + (wasDead and 1 or 0)
end
if dead > 0 then
  redis.call('HINCRBY', keys.books, 'deadDeleted', dead)
end
return words
