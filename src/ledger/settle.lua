-- settle: how did each event end?
--
-- Takes what a run learned of its call and moves every event concerned to its end, releases the users, brings
-- their parked entries back and closes or shortens the record.
--
-- The events of a record of class redrive have letters (state redriving), which end here, too: resolved when
-- the event is imported or superseded, dead once more when it is refused once more.
--
-- Joined with: record.lua, letters/letter-index.lua, letters/letter-text.lua, hold/hold-shared.lua, letters/resolve-older.lua,
--   settle/letters.lua,
--   settle/release-or-keep.lua.
-- Request  callId, run
--          imported      [userId, eventId, userId, eventId, ...]
--          superseded    number of older events of imported users
--          dead          [{eventId, userId, reason, code, letter (its text), notBefore (absent, or ms)}, ...]
--          passedAt      absent, or when the newest call started in which accounts passed (ms)
--          released      [userId, ...]: users none of whose events stay in the record
--          keep          absent when nothing stays, or {users, events, tries, isIsolated, oldestMs, dueAtMs,
--                        firstSentAtMs, heldMsAtFirst, onWire, and as JSON text entries, attempts, suspects}
--          publish       [channel, message, ...]
--          outcomes      absent unless all outcomes are asked for, else [[field, value, ...], ...]
--          outcomesKept  entries that the stream of outcomes keeps
--          tallies       [tally key, counter, number, ...]
--          format        of records
--          maxBytes      of entries in a record
--          isResolved    older letters of the imported users were resolved in steps before (resolve.lua)
-- Answers {'settled', entries returned to the intake, letters resolved, now ms, IDs of calls that were made of parked
--   entries}, {'lost'}, or {'letters', userId, ...}: these users have so many letters that resolve.lua comes before, and
--   nothing was changed. An error when events would appear or vanish: the record is left as it is.
-- Cost: O(events of the record + 2,100 parked entries + letters: 1,000, or 1,000 a user with isResolved).
-- Atomic, so that the books balance at any moment and a run that lost the record changes nothing.

nameKeys('callPrefix', 'owners', 'parkedPrefix', 'parkedCounts', 'open', 'books', 'returned', 'deadPrefix',
  'deadByTime', 'deadByUser', 'deadByCode', 'deadByReason', 'deadUsers', 'deadCounts', 'deadResolved', 'deadRedriving',
  'outcomes', 'replyPrefix', 'hold', 'holdChannel', 'openSince', 'isolated')
readRequest()
keys.call = keys.callPrefix .. request.callId
writeNothing('HDEL', keys.books)

-- A tally counts an event when it ends for the first time, and only where the tally stands: so nobody who
-- writes events makes keys.
local function countTallies()
  for i = 1, #request.tallies, 3 do
    local tally = request.tallies[i]
    if redis.call('EXISTS', tally) == 1 then
      redis.call('HINCRBY', tally, request.tallies[i + 1], request.tallies[i + 2])
    end
  end
end

-- A producer's own channel that nobody listens on just now: its connection may be coming back
-- (producer/outcome-inbox.ts), so the message is kept for a minute. On a cluster the listeners of other nodes
-- are not counted; a message that is heard twice does no harm.
local function publishOutcomes()
  for i = 1, #request.publish, 2 do
    local reply, message = request.publish[i], request.publish[i + 1]
    if redis.call('PUBLISH', reply, message) == 0 and string.sub(reply, 1, #keys.replyPrefix) == keys.replyPrefix then
      redis.call('RPUSH', reply, message)
      redis.call('LTRIM', reply, -10000, -1)
      redis.call('PEXPIRE', reply, 60000)
    end
  end
end

local function count(name, number)
  if number ~= 0 then
    redis.call('HINCRBY', keys.books, name, number)
  end
end

local record = readFields(keys.call, 'command', 'users', 'events', 'class', 'run', 'suspects')
if record.run ~= request.run then
  return { 'lost' }
end
local eventsBefore, isRedrive = tonumber(record.events), record.class == 'redrive'
local imports, deaths, keep = #request.imported / 2, #request.dead, request.keep
local usersAfter, eventsAfter = keep and keep.users or 0, keep and keep.events or 0
if eventsBefore ~= imports + request.superseded + deaths + eventsAfter then
  return redis.error_reply('IMSYNC settlement of ' .. request.callId .. ' does not balance: ' .. eventsBefore
    .. ' events before, ' .. imports .. ' imported, ' .. request.superseded .. ' superseded, ' .. deaths .. ' dead, '
    .. eventsAfter .. ' after')
end
local withLetters = importedWithLetters()
local crowded = request.isResolved and {} or usersWithManyLetters(withLetters)
if #crowded > 0 then
  return { 'letters', unpack(crowded) }
end
readClock()
if isRedrive then
  local ends, problem = redrivenEnds()
  if problem then
    return redis.error_reply(problem)
  end
  resolveRedriven(ends)
end

writeLetters()
-- A letter that was just written may be one more of theirs.
local resolved = makeUpFor(deaths > 0 and importedWithLetters() or withLetters)
if request.passedAt then
  callPassed(request.passedAt)
end
local returned, calls = releaseUsers(record.command)
if keep then
  keepRecord(keep, isRedrive)
else
  closeCall(request.callId, isRedrive, record.suspects)
end

redis.call('HINCRBY', keys.books, 'events', eventsAfter - eventsBefore)
redis.call('HINCRBY', keys.books, 'users:' .. record.command, usersAfter - tonumber(record.users))
count('imported', imports)
count('superseded', request.superseded + #resolved)
count('dead', deaths - #resolved)
count('parked', -returned)
if request.outcomes then
  tellResolved(resolved)
  for _, fields in ipairs(request.outcomes) do
    tellOutcome(fields)
  end
end
if not isRedrive then
  countTallies()
end
publishOutcomes()
return { 'settled', returned, #resolved, nowText, calls }
