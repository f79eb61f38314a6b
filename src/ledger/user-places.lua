-- user-places: where the events of one user are, but for the stream. Reads only.
--
-- Request  userId
--          maxParked     parked entries to answer
--          maxReturned   returned entries to look at, the next to be cut
-- Answers nowMs; callId and call (its fields), if the user is in one; parked (how many), parkedEntries (the
--   first); returnedTotal, returnedLooked, returnedEntries (perhaps the user's); fleet (the hold's fields).
-- One step, since entries move from one of these places to the next. Cost: O(entries looked at).

nameKeys('owners', 'parkedCounts', 'returned', 'hold', 'callPrefix', 'parkedPrefix')
readRequest()
readClock()
local user, most = request.userId, request.maxReturned
local callId = redis.call('HGET', keys.owners, user)
-- What holds the ID in its text may be the user's; who reads it looks closer.
local total = redis.call('LLEN', keys.returned)
local needle = string.gsub(cjson.encode(user), '^"(.*)"$', '%1')
local found = {}
for _, packed in ipairs(redis.call('LRANGE', keys.returned, 0, most - 1)) do
  if string.find(packed, needle, 1, true) then
    found[#found + 1] = packed
  end
end
return {
  map = {
    nowMs = nowMs, callId = callId, call = callId and redis.call('HGETALL', keys.callPrefix .. callId),
    parked = tonumber(redis.call('HGET', keys.parkedCounts, user) or 0),
    parkedEntries = redis.call('LRANGE', keys.parkedPrefix .. user, 0, request.maxParked - 1),
    returnedTotal = total, returnedLooked = math.min(total, most), returnedEntries = found,
    fleet = redis.call('HGETALL', keys.hold),
  },
}
