-- letter-flood: many dead letters at once, as settle.lua would have written them one by one.
--
-- Joined with: letter-index.lua.
-- Request  letters   [{eventId, userId, reason, code (text), deadAt (text), letter (JSON text)}, ...]

nameKeys('books', 'deadPrefix', 'deadByTime', 'deadByUser', 'deadByReason', 'deadUsers', 'deadCounts')
readRequest()

for _, d in ipairs(request.letters) do
  redis.call('HSET', keys.deadPrefix .. d.eventId, 'letter', d.letter, 'state', 'dead', 'userId', d.userId, 'reason',
    d.reason, 'code', d.code, 'deadAt', d.deadAt, 'firstDeadAt', d.deadAt)
  listLetter(d.eventId, d.userId, d.reason, d.code, d.deadAt)
end
redis.call('HINCRBY', keys.books, 'taken', #request.letters)
redis.call('HINCRBY', keys.books, 'dead', #request.letters)
