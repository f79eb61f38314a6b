-- settle: how did each event end?
--
-- Takes what a run learned of its call and moves every event concerned to its end, releases the users, brings their
-- parked entries back and closes or shortens the record.
--
-- The events of a record of class redrive have letters (state redriving), which end here, too: resolved when the event
-- is imported or superseded, dead once more when it is refused once more.
--
-- Joined with: redis/prelude.lua, letters/letter-index.lua, pace/hold/hold-shared.lua, intake/returned-since.lua,
--   settle/{outcomes,redriven,letters,release,keep}.lua.
-- KEYS     call, owners, parkedCounts, open, books, returned, cutter, deadByTime, deadByUser, deadByCode, deadByReason,
--          deadUsers, deadCounts, deadResolved, deadRedriving, outcomes, hold, openSince, isolated
-- Request  callId, run, parkedPrefix, deadPrefix, replyPrefix, holdChannel
--          imported      [userId, eventId, userId, eventId, ...]
--          superseded    number of older events of imported users
--          dead          [{eventId, userId, reason, code, letter (JSON text)}, ...]
--          passedAt      absent, or when the newest call started in which accounts passed (ms); a probe tells hold.lua
--          released      [userId, ...]: users none of whose events stay in the record; absent: all who are imported
--          keep          absent when nothing stays, else {entries (JSON text), users, events, tries, attempts (JSON
--                        text), suspects (JSON text, or absent), isolated, oldest (ms), dueAt, firstSentAt,
--                        heldMsAtFirst, onWire}
--          publish       [channel, message, ...]
--          outcomes      absent unless all outcomes are asked for, else [[field, value, field, value, ...], ...]
--          outcomesKept  entries that the stream of outcomes keeps
--          tallies       absent, or [tally key, counter, number, ...]
-- Answers {'settled', entries returned to the intake, letters resolved, now ms} or {'lost'}. An error when events would
--   appear or vanish: the record is left as it is.
-- Atomic, so that the books balance at any moment and a run that lost the record changes nothing.

nameKeys('call', 'owners', 'parkedCounts', 'open', 'books', 'returned', 'cutter', 'deadByTime', 'deadByUser', 'deadByCode',
  'deadByReason', 'deadUsers', 'deadCounts', 'deadResolved', 'deadRedriving', 'outcomes', 'hold', 'openSince', 'isolated')
readRequest()
keys.parkedPrefix, keys.deadPrefix, keys.holdChannel = request.parkedPrefix, request.deadPrefix, request.holdChannel
writeNothing('HDEL', keys.books)

local record = readFields(keys.call, 'command', 'users', 'events', 'class', 'run', 'suspects')
if record.run ~= request.run then
  return { 'lost' }
end
local usersBefore, eventsBefore, isRedrive = tonumber(record.users), tonumber(record.events), record.class == 'redrive'
local imports, deaths, keep = #request.imported / 2, #request.dead, request.keep
local usersAfter, eventsAfter = keep and keep.users or 0, keep and keep.events or 0
if eventsBefore ~= imports + request.superseded + deaths + eventsAfter then
  return redis.error_reply('IMSYNC settlement of ' .. request.callId .. ' does not balance: ' .. eventsBefore
    .. ' events before, ' .. imports .. ' imported, ' .. request.superseded .. ' superseded, ' .. deaths .. ' dead, '
    .. eventsAfter .. ' after')
end
readClock()
local redriven = isRedrive and redrivenEnds(request.callId) or {}
if problem then
  return redis.error_reply(problem)
end

resolveRedriven(redriven)
writeLetters()
local resolved = makeUpFor()
if request.passedAt then
  callPassed(request.passedAt)
end
local returned = releaseUsers()
if keep then
  if keep.suspects and not isRedrive then
    eventsAfter = eventsAfter + adoptParked(keep)
  end
  keepRecord(keep, usersAfter, eventsAfter, isRedrive)
else
  closeRecord(record.suspects, isRedrive)
end

local function count(name, number)
  if number ~= 0 then
    redis.call('HINCRBY', keys.books, name, number)
  end
end
redis.call('HINCRBY', keys.books, 'events', eventsAfter - eventsBefore)
redis.call('HINCRBY', keys.books, 'users:' .. record.command, usersAfter - usersBefore)
count('imported', imports)
count('superseded', request.superseded + resolved)
count('dead', deaths - resolved)
count('parked', -returned)
for _, fields in ipairs(request.outcomes or {}) do
  tellOutcome(fields)
end
countTallies(isRedrive)
publishOutcomes()
return { 'settled', returned, resolved, nowText }
