-- forget-entries: takes entries off the stream that are not to become calls.
--
-- Joined with: forget-parts.lua.
-- Request  eventIds     [eventId, ...]
-- Answers how many were there. They end as forget.lua says.
-- Cost: O(entries). Atomic, so that an entry is either cut or forgotten, and counted once.

nameKeys('stream', 'books', 'tallyPrefix')
readRequest()
writeNothing('HDEL', keys.books)

local gone = 0
for _, eventId in ipairs(request.eventIds) do
  local entry = redis.call('XRANGE', keys.stream, eventId, eventId)[1]
  if entry then
    redis.call('XDEL', keys.stream, eventId)
    countInTally(entry[2], 1)
    gone = gone + 1
  end
end
if gone > 0 then
  for _, name in ipairs({ 'taken', 'dead', 'deadDeleted', 'forgotten' }) do
    redis.call('HINCRBY', keys.books, name, gone)
  end
end
return gone
