-- user-places: where the events of one user are, but for the stream. Reads only.
--
-- KEYS 1 owners  2 parked-counts  3 returned  4 hold
-- ARGV 1 userId  2 call prefix  3 parked prefix  4 parked entries to answer, at most
--      5 returned entries to look at from either end
--
-- Answers {now ms, {callId, field, value, field, value, ...} or {}, number parked, {packed entry, ...} parked,
--   number returned, number of those looked at, {packed entry, ...} returned and perhaps the user's,
--   {field, value, ...} of the hold}.
-- One step, since entries move from one of these places to the next. Cost: O(entries looked at).

local t = redis.call('TIME')
local user = ARGV[1]
local call = {}
local callId = redis.call('HGET', KEYS[1], user)
if callId then
  call = redis.call('HGETALL', ARGV[2] .. callId)
  call[#call + 1] = ''
  call[#call + 1] = callId
end
local parked = redis.call('LRANGE', ARGV[3] .. user, 0, tonumber(ARGV[4]) - 1)

-- What holds the ID in its text may be the user's; who reads it looks closer.
local most = tonumber(ARGV[5])
local total = redis.call('LLEN', KEYS[3])
local needle = string.gsub(cjson.encode(user), '^"(.*)"$', '%1')
local found = {}
local function look(from, to)
  for _, packed in ipairs(redis.call('LRANGE', KEYS[3], from, to)) do
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
  string.format('%.0f', t[1] * 1000 + math.floor(t[2] / 1000)), call,
  tonumber(redis.call('HGET', KEYS[2], user) or 0), parked, total, math.min(total, 2 * most), found,
  redis.call('HGETALL', KEYS[4]),
}
