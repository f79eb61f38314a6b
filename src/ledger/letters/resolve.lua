-- resolve: letters of a user whose newer event was imported, some of them. For a settlement that would resolve so many
-- that Redis had to stand still. They come before it, so that a run which takes the record over goes on with them.
--
-- Joined with: letter-index.lua, resolve-older.lua.
-- Request  callId, run, userId, eventId (of the import), most (letters to look at)
--          allOutcomes, outcomesKept   as in ledger/settle.lua
-- Answers how many were resolved; -1 when another run owns the record.
-- Cost: O(most · log of all letters).

nameKeys('callPrefix', 'books', 'deadPrefix', 'deadByTime', 'deadByUser', 'deadByCode', 'deadByReason', 'deadUsers',
  'deadCounts', 'deadResolved', 'outcomes')
readRequest()
keys.call = keys.callPrefix .. request.callId
writeNothing('HDEL', keys.books)
if redis.call('HGET', keys.call, 'run') ~= request.run then
  return -1
end
readClock()
local resolved = {}
resolveOlder(request.userId, request.eventId, request.most, resolved)
if #resolved > 0 then
  redis.call('HINCRBY', keys.books, 'superseded', #resolved)
  redis.call('HINCRBY', keys.books, 'dead', -#resolved)
end
if request.allOutcomes then
  tellResolved(resolved)
end
return #resolved
