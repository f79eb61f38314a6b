-- user-places: where the events of one user are, but for the stream. Reads only.
--
-- Request  userId
--          maxParked     parked entries to answer
--          maxReturned   returned entries to look at from either end
-- Answers {now ms, callId or '', {field, value, ...} of the call, number parked, {packed entry, ...} parked,
--   number returned, number of those looked at, {packed entry, ...} returned and perhaps the user's,
--   {field, value, ...} of the hold}.
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
local function look(from, to)
  for _, packed in ipairs(redis.call('LRANGE', keys.returned, from, to)) do
    if string.find(packed, needle, 1, true) then
      found[#found + 1] = packed
    end
  end
end
look(0, most - 1)
if total > most then
  look(math.max(most, total - most), -1)
end
return {
  nowText, callId or '', callId and redis.call('HGETALL', keys.callPrefix .. callId) or {},
  tonumber(redis.call('HGET', keys.parkedCounts, user) or 0),
  redis.call('LRANGE', keys.parkedPrefix .. user, 0, request.maxParked - 1), total, math.min(total, 2 * most), found,
  redis.call('HGETALL', keys.hold),
}
