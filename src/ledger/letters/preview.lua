-- preview: what a redrive would do with some letters. Reads only, and reads of most letters six short fields.
--
-- Request  eventIds
--          early    letters before their not-before date, too
--          fromMs, toMs (when they died), and if they matter: errorCode, reason, userId
-- Answers redriven, busy, early, invalid, noUser: how many users with one letter there are of each; noUser
--   counts letters. several: users with several letters, for redrive.lua to look at. Letters that do not match,
--   or are dead no more, do not count.
-- Cost: O(letters). One step, since a user's letter and call belong together.

nameKeys('deadPrefix', 'deadUsers', 'owners', 'parkedCounts')
readRequest()
readClock()

local function isMeant(h)
  local deadAt = tonumber(h.deadAt)
  return h.state == 'dead' and deadAt >= request.fromMs and deadAt <= request.toMs
    and (not request.errorCode or tonumber(h.code) == request.errorCode)
    and (not request.reason or h.reason == request.reason)
    and (not request.userId or h.userId == request.userId)
end

-- Up to version 0.2.0 the date stood in the text. A text inside of it cannot look like a field, since its quotes
-- are escaped.
local function notBeforeOf(h)
  return tonumber(h.notBefore) or tonumber(string.match(h.letter or '', '"notBefore":(%d+)')) or 0
end

local counts = { redriven = 0, busy = 0, early = 0, invalid = 0, noUser = 0, several = {} }
local function count(word)
  counts[word] = counts[word] + 1
end

local letters, users = {}, {}
for _, eventId in ipairs(request.eventIds) do
  local h = readFields(keys.deadPrefix .. eventId, 'state', 'userId', 'reason', 'code', 'deadAt', 'notBefore', 'letter')
  if isMeant(h) and h.userId == '' then
    count('noUser')
  elseif isMeant(h) then
    letters[#letters + 1], users[#users + 1] = h, h.userId
  end
end

if #users > 0 then
  local numbers = redis.call('HMGET', keys.deadUsers, unpack(users))
  local owners = redis.call('HMGET', keys.owners, unpack(users))
  local parked = redis.call('HMGET', keys.parkedCounts, unpack(users))
  for i, h in ipairs(letters) do
    if numbers[i] ~= '1' then
      table.insert(counts.several, users[i])
    elseif owners[i] or parked[i] then
      count('busy')
    elseif h.reason == 'invalid' then
      count('invalid')
    elseif notBeforeOf(h) > nowMs and not request.early then
      count('early')
    else
      count('redriven')
    end
  end
end
return { map = counts }
