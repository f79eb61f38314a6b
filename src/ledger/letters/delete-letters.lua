-- delete-letters: dead letters are forgotten, with their indexes and counts. Their events stay counted as
-- dead-lettered: that was their end.
--
-- Joined with: letter-index.lua.
-- Request  letters   [eventId, time of death as it was read (text), ...]
-- Answers a word for each, those of `Deletion` in letter-store.ts.
-- Cost: O(letters · log of all). Atomic, so that no index names a letter that is gone.

nameKeys('books', 'deadPrefix', 'deadByTime', 'deadByUser', 'deadByCode', 'deadByReason', 'deadUsers', 'deadCounts',
  'deadResolved')
readRequest()
writeNothing('HDEL', keys.books)

local function delete(eventId, deadAt)
  local deadLetter = keys.deadPrefix .. eventId
  local letter = readFields(deadLetter, 'state', 'deadAt', 'userId', 'reason', 'code')
  if not letter.state then
    return 'gone'
  elseif letter.state == 'redriving' then
    return 'redriving'
  elseif letter.deadAt ~= deadAt then
    return 'changed'
  end
  if letter.state == 'dead' then
    unlistLetter(eventId, letter.userId, letter.reason, letter.code)
    redis.call('HINCRBY', keys.books, 'deadDeleted', 1)
  else
    redis.call('ZREM', keys.deadResolved, eventId)
  end
  redis.call('DEL', deadLetter)
  return 'deleted'
end

local words = {}
for i = 1, #request.letters, 2 do
  words[#words + 1] = delete(request.letters[i], request.letters[i + 1])
end
return words
