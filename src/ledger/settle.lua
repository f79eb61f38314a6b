-- settle: how did each event end?
--
-- Takes what a run learned of its call and moves every event concerned to its end, releases the users, brings
-- their parked entries back and closes or shortens the record: one step, so that the books balance at any
-- moment and a run that lost the record changes nothing.
--
-- The events of a record of class redrive have letters (state redriving), which end here, too: resolved when
-- the event is imported or superseded, dead once more when it is refused once more.
--
-- Shares letter-index.lua and hold-end.lua.
-- KEYS 1 call record  2 owners  3 parked-counts  4 open-calls  5 books  6 returned  7 cutter
--      8 dead-by-time  9 dead-by-user  10 dead-by-code  11 dead-by-reason  12 dead-users  13 dead-counts
--      14 dead-resolved  15 dead-redriving  16 outcomes  17 hold (see hold.lua)
--      18 open-since  19 isolated-calls
-- ARGV 1 callId  2 run  3 parked prefix  4 dead prefix  6 reply prefix  7 entries that the stream of outcomes keeps
--      8 channel of the hold
--      5 settlement (JSON):
--   imported   [userId, eventId, userId, eventId, ...]
--   superseded number of older events of imported users
--   dead       [{eventId, userId, reason, code, letter (JSON text)}, ...]
--   passedAt   absent, or when the newest call started in which accounts passed (ms); a probe tells hold.lua itself
--   released   [userId, ...]  users none of whose events stay in the record; absent: all who are imported
--   keep       absent when nothing stays, else {entries (JSON text), users, events, tries, attempts (JSON text),
--              suspects (JSON text, or absent), isolated, oldest (ms), dueAt, firstSentAt, heldMsAtFirst, onWire}
--   publish    [channel, message, ...]
--   outcomes   absent unless all outcomes are asked for, else [[field, value, field, value, ...], ...]
--   tallies    absent, or [tally key, counter, number, ...]: counted where the tally stands and its event ends for
--              the first time, so that whoever writes events makes no keys
--
-- Answers {'settled', entries returned to the intake, letters resolved, now ms} or {'lost'}.
-- An error when events would appear or vanish: the record is left as it is.

-- A write that needs no memory comes first: so a full Redis runs the rest, too (docs/decisions/0050).
redis.call('HDEL', KEYS[5], '')

local record = redis.call('HMGET', KEYS[1], 'command', 'users', 'events', 'class', 'run', 'suspects')
if record[5] ~= ARGV[2] then
  return { 'lost' }
end
local s = cjson.decode(ARGV[5])
local command, usersBefore, eventsBefore = record[1], tonumber(record[2]), tonumber(record[3])
local imported, dead = s.imported, s.dead
local eventsAfter, usersAfter = 0, 0
if s.keep then
  eventsAfter, usersAfter = s.keep.events, s.keep.users
end
if eventsBefore ~= #imported / 2 + s.superseded + #dead + eventsAfter then
  return redis.error_reply('IMSYNC settlement of ' .. ARGV[1] .. ' does not balance: ' .. eventsBefore .. ' events before, '
    .. (#imported / 2) .. ' imported, ' .. s.superseded .. ' superseded, ' .. #dead .. ' dead, ' .. eventsAfter .. ' after')
end

readClock()
local now = nowText
keys.hold, keys.holdChannel = KEYS[17], ARGV[8]
local index = letterIndex(8)

-- The stream of outcomes, for those who follow all of them. Nothing of it is done unless it is asked for.
local function tell(fields)
  redis.call('XADD', KEYS[16], 'MAXLEN', '~', ARGV[7], '*', unpack(fields))
end

-- Redriven events that are done: {eventId, event that made it, ...}. What is neither imported, dead nor kept was
-- superseded.
local made = {}
if record[4] == 'redrive' then
  local elsewhere, importOf = {}, {}
  for i = 1, #imported, 2 do
    importOf[imported[i]] = imported[i + 1]
  end
  for i = 1, #dead do
    elsewhere[dead[i].eventId] = true
  end
  for _, entry in ipairs(s.keep and cjson.decode(s.keep.entries) or {}) do
    elsewhere[entry[1]] = true
  end
  for _, entry in ipairs(cjson.decode(redis.call('HGET', KEYS[1], 'entries'))) do
    if not elsewhere[entry[1]] then
      local by
      for i = 2, #entry - 1, 2 do
        if entry[i] == 'userId' then
          by = importOf[entry[i + 1]]
        end
      end
      if not by then
        return redis.error_reply('IMSYNC settlement of ' .. ARGV[1] .. ' leaves out event ' .. entry[1])
      end
      made[#made + 1] = entry[1]
      made[#made + 1] = by
    end
  end
end

local function resolve(eventId, by)
  redis.call('HSET', ARGV[4] .. eventId, 'state', 'resolved', 'resolvedAt', now, 'resolvedBy', by)
  redis.call('ZADD', KEYS[14], now, eventId)
end

for i = 1, #made, 2 do
  if redis.call('HGET', ARGV[4] .. made[i], 'state') == 'redriving' then
    redis.call('ZREM', KEYS[15], made[i])
    resolve(made[i], made[i + 1])
  end
end

-- What is kept of a letter whose event dies once more: the attempts before, the first death, the redrives. A date
-- before which trying is useless (the account was deleted) stays the first one: trying too early moves nothing.
local function keepHistory(key, letter)
  local was = redis.call('HMGET', key, 'letter', 'earlier', 'notBefore')
  local readable, old = pcall(cjson.decode, was[1])
  if not readable then
    return
  end
  local earlier = was[2] and cjson.decode(was[2]) or {}
  for _, attempt in ipairs(old.attempts) do
    earlier[#earlier + 1] = attempt
  end
  while #earlier > 50 do
    table.remove(earlier, 11)
  end
  if #earlier > 0 then
    redis.call('HSET', key, 'earlier', cjson.encode(earlier))
  end
  local first, new = tonumber(was[3]) or old.notBefore, cjson.decode(letter)
  if type(first) == 'number' and first > nowMs and type(new.notBefore) == 'number' and new.errorCode == old.errorCode then
    redis.call('HSET', key, 'notBefore', string.format('%.0f', first))
  else
    redis.call('HDEL', key, 'notBefore')
  end
end

-- Dead letters. The event's own words are the reader's; counts and indexes are made here.
for i = 1, #dead do
  local d = dead[i]
  local key = ARGV[4] .. d.eventId
  local code = string.format('%.0f', d.code)
  if redis.call('HGET', key, 'state') == 'redriving' then
    redis.call('ZREM', KEYS[15], d.eventId)
    keepHistory(key, d.letter)
  end
  redis.call('HSET', key, 'letter', d.letter, 'state', 'dead', 'userId', d.userId, 'reason', d.reason, 'code', code, 'deadAt', now)
  redis.call('HSETNX', key, 'firstDeadAt', now)
  listLetter(index, d.eventId, d.userId, d.reason, code, now)
end

-- An import makes up for the older letters of its user: those events end superseded.
local resolved = 0
if #imported > 0 and redis.call('HLEN', index.users) > 0 then
  local users = {}
  for i = 1, #imported, 2 do
    users[#users + 1] = imported[i]
  end
  local counts = redis.call('HMGET', index.users, unpack(users))
  for i = 1, #users do
    if counts[i] then
      local prefix = users[i] .. ' '
      for _, member in ipairs(redis.call('ZRANGEBYLEX', index.user, '[' .. prefix, '(' .. users[i] .. '!')) do
        local eventId = string.sub(member, #prefix + 1)
        if isOlder(eventId, imported[2 * i]) then
          local letter = redis.call('HMGET', ARGV[4] .. eventId, 'state', 'reason', 'code')
          if letter[1] == 'dead' then
            unlistLetter(index, eventId, users[i], letter[2], letter[3])
            resolve(eventId, imported[2 * i])
            resolved = resolved + 1
            if s.outcomes then
              tell({ 'eventId', eventId, 'userId', users[i], 'outcome', 'superseded', 'errorCode', '0', 'hasAccount', 'true' })
            end
          end
        end
      end
    end
  end
end

if s.passedAt then
  callPassed(s.passedAt)
end

-- Release the users; what was parked behind them goes back to the front of the intake, in order. To the head of
-- the list, since a cut may have stopped in the middle of what a user had there: then the part that it parked is
-- older than the part that it left.
local returned, released = 0, s.released or {}
if not s.released then
  for i = 1, #imported, 2 do
    released[#released + 1] = imported[i]
  end
end
if #released > 0 then
  redis.call('HDEL', KEYS[2], unpack(released))
  if redis.call('HLEN', KEYS[3]) > 0 then
    local counts = redis.call('HMGET', KEYS[3], unpack(released))
    for i = #released, 1, -1 do
      if counts[i] then
        local parked = ARGV[3] .. released[i]
        if returned == 0 and redis.call('LLEN', KEYS[6]) == 0 then
          redis.call('HSET', KEYS[7], 'returnedSince', now)
        end
        local entries = redis.call('LRANGE', parked, 0, -1)
        for k = #entries, 1, -1 do
          redis.call('LPUSH', KEYS[6], entries[k])
        end
        redis.call('DEL', parked)
        redis.call('HDEL', KEYS[3], released[i])
        returned = returned + #entries
      end
    end
  end
end

-- A suspect stays for as long as an event may be tried, and a newer event may be the one that passes: what is parked behind
-- a suspect joins the call, and goes first next time.
local ADOPTED_AT_ONCE = 100
local function adoptParked()
  if redis.call('HLEN', KEYS[3]) == 0 then
    return
  end
  for user in pairs(cjson.decode(s.keep.suspects)) do
    local parked = ARGV[3] .. user
    local entries = redis.call('LRANGE', parked, 0, ADOPTED_AT_ONCE - 1)
    if #entries > 0 and redis.call('HGET', KEYS[2], user) == ARGV[1] then
      redis.call('LTRIM', parked, #entries, -1)
      if redis.call('HINCRBY', KEYS[3], user, -#entries) == 0 then
        redis.call('HDEL', KEYS[3], user)
      end
      redis.call('HINCRBY', KEYS[5], 'parked', -#entries)
      s.keep.entries = string.sub(s.keep.entries, 1, -2) .. ',' .. table.concat(entries, ',') .. ']'
      eventsAfter = eventsAfter + #entries
    end
  end
end

if s.keep and s.keep.suspects and record[4] ~= 'redrive' then
  adoptParked()
end
if s.keep then
  redis.call('HSET', KEYS[1], 'entries', s.keep.entries, 'users', usersAfter, 'events', eventsAfter, 'tries', s.keep.tries,
    'attempts', s.keep.attempts, 'dueAt', string.format('%.0f', s.keep.dueAt),
    'firstSentAt', string.format('%.0f', s.keep.firstSentAt), 'heldMsAtFirst', string.format('%.0f', s.keep.heldMsAtFirst))
  if not s.keep.onWire then
    redis.call('HDEL', KEYS[1], 'sentAt')
  end
  if s.keep.suspects then
    redis.call('HSET', KEYS[1], 'suspects', s.keep.suspects)
  end
  local dueAt = string.format('%.0f', math.max(nowMs, s.keep.dueAt))
  redis.call('ZADD', KEYS[4], dueAt, ARGV[1])
  if record[4] ~= 'redrive' then
    redis.call('ZADD', KEYS[18], string.format('%.0f', s.keep.oldest), ARGV[1])
  end
  if s.keep.isolated then
    -- What a version that does not know this list has closed meanwhile leaves it here.
    redis.call('ZREMRANGEBYSCORE', KEYS[19], '-inf', string.format('(%.0f', nowMs - 3600000))
    redis.call('ZADD', KEYS[19], dueAt, ARGV[1])
  end
else
  redis.call('DEL', KEYS[1])
  redis.call('ZREM', KEYS[4], ARGV[1])
  redis.call('ZREM', KEYS[18], ARGV[1])
  if record[6] then
    redis.call('ZREM', KEYS[19], ARGV[1])
  end
  if record[4] == 'redrive' then
    redis.call('HINCRBY', KEYS[5], 'redriveCalls', -1)
  end
end

redis.call('HINCRBY', KEYS[5], 'events', eventsAfter - eventsBefore)
redis.call('HINCRBY', KEYS[5], 'users:' .. command, usersAfter - usersBefore)
if #imported > 0 then
  redis.call('HINCRBY', KEYS[5], 'imported', #imported / 2)
end
if s.superseded + resolved > 0 then
  redis.call('HINCRBY', KEYS[5], 'superseded', s.superseded + resolved)
end
if #dead - resolved ~= 0 then
  redis.call('HINCRBY', KEYS[5], 'dead', #dead - resolved)
end
if returned > 0 then
  redis.call('HINCRBY', KEYS[5], 'parked', -returned)
end
for _, fields in ipairs(s.outcomes or {}) do
  tell(fields)
end
for i = 1, #(s.tallies or {}), 3 do
  if record[4] ~= 'redrive' and redis.call('EXISTS', s.tallies[i]) == 1 then
    redis.call('HINCRBY', s.tallies[i], s.tallies[i + 1], s.tallies[i + 2])
  end
end
-- A producer's own channel that nobody listens on just now: its connection may be coming back (intake/outcomes).
-- On a cluster other nodes' listeners are not counted, and a message heard twice does no harm.
for i = 1, #s.publish, 2 do
  local channel = s.publish[i]
  if redis.call('PUBLISH', channel, s.publish[i + 1]) == 0 and string.sub(channel, 1, #ARGV[6]) == ARGV[6] then
    redis.call('RPUSH', channel, s.publish[i + 1])
    redis.call('LTRIM', channel, -10000, -1)
    redis.call('PEXPIRE', channel, 60000)
  end
end
return { 'settled', returned, resolved, now }
