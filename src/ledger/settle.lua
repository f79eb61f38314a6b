-- settle: how did each event end?
--
-- Takes what a run learned of its call and moves every event concerned to its end, releases the users, brings
-- their parked entries back and closes or shortens the record: one step, so that the books balance at any
-- moment and a run that lost the record changes nothing.
--
-- KEYS 1 call record  2 owners  3 parked-counts  4 open-calls  5 books  6 returned  7 cutter
--      8 dead-by-time  9 dead-by-user  10 dead-by-code  11 dead-users  12 dead-counts  13 dead-resolved
-- ARGV 1 callId  2 run  3 parked prefix  4 dead prefix  5 settlement (JSON):
--   imported   [userId, eventId, userId, eventId, ...]
--   superseded number of older events of imported users
--   dead       [{eventId, userId, reason, code, letter (JSON text)}, ...]
--   released   [userId, ...]  users none of whose events stay in the record
--   keep       absent when nothing stays, else {entries (JSON text), users, events, tries, attempts (JSON text),
--              dueAt, firstSentAt, heldMsAtFirst, onWire}
--   publish    [channel, message, ...]
--
-- Answers {'settled', entries returned to the intake, letters resolved, now ms} or {'lost'}.
-- An error when events would appear or vanish: the record is left as it is.

if redis.call('HGET', KEYS[1], 'run') ~= ARGV[2] then
  return { 'lost' }
end
local s = cjson.decode(ARGV[5])
local record = redis.call('HMGET', KEYS[1], 'command', 'users', 'events')
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

local t = redis.call('TIME')
local nowMs = t[1] * 1000 + math.floor(t[2] / 1000)
local now = string.format('%.0f', nowMs)

local function forget(eventId, user, reason, code)
  redis.call('ZREM', KEYS[8], eventId)
  redis.call('ZREM', KEYS[9], user .. ' ' .. eventId)
  redis.call('ZREM', KEYS[10], code .. ' ' .. eventId)
  if redis.call('HINCRBY', KEYS[11], user, -1) <= 0 then
    redis.call('HDEL', KEYS[11], user)
  end
  for _, field in ipairs({ 'reason:' .. reason, 'code:' .. code }) do
    if redis.call('HINCRBY', KEYS[12], field, -1) <= 0 then
      redis.call('HDEL', KEYS[12], field)
    end
  end
end

-- Dead letters. The event's own words are the reader's; counts and indexes are made here.
for i = 1, #dead do
  local d = dead[i]
  local key = ARGV[4] .. d.eventId
  local code = string.format('%.0f', d.code)
  redis.call('HSET', key, 'letter', d.letter, 'state', 'dead', 'userId', d.userId, 'reason', d.reason, 'code', code, 'deadAt', now)
  redis.call('ZADD', KEYS[8], now, d.eventId)
  redis.call('ZADD', KEYS[9], 0, d.userId .. ' ' .. d.eventId)
  redis.call('ZADD', KEYS[10], 0, code .. ' ' .. d.eventId)
  redis.call('HINCRBY', KEYS[11], d.userId, 1)
  redis.call('HINCRBY', KEYS[12], 'reason:' .. d.reason, 1)
  redis.call('HINCRBY', KEYS[12], 'code:' .. code, 1)
end

-- An import makes up for the older letters of its user: those events end superseded.
local resolved = 0
if #imported > 0 and redis.call('HLEN', KEYS[11]) > 0 then
  local function before(a, b)
    local aMs, aSeq = string.match(a, '^(%d+)%-(%d+)$')
    local bMs, bSeq = string.match(b, '^(%d+)%-(%d+)$')
    aMs, bMs = tonumber(aMs), tonumber(bMs)
    return aMs < bMs or (aMs == bMs and tonumber(aSeq) < tonumber(bSeq))
  end
  local users = {}
  for i = 1, #imported, 2 do
    users[#users + 1] = imported[i]
  end
  local counts = redis.call('HMGET', KEYS[11], unpack(users))
  for i = 1, #users do
    if counts[i] then
      local prefix = users[i] .. ' '
      for _, member in ipairs(redis.call('ZRANGEBYLEX', KEYS[9], '[' .. prefix, '(' .. users[i] .. '!')) do
        local eventId = string.sub(member, #prefix + 1)
        if before(eventId, imported[2 * i]) then
          local letter = redis.call('HMGET', ARGV[4] .. eventId, 'state', 'reason', 'code')
          if letter[1] == 'dead' then
            forget(eventId, users[i], letter[2], letter[3])
            redis.call('HSET', ARGV[4] .. eventId, 'state', 'resolved', 'resolvedAt', now, 'resolvedBy', imported[2 * i])
            redis.call('ZADD', KEYS[13], now, eventId)
            resolved = resolved + 1
          end
        end
      end
    end
  end
end

-- Release the users; what was parked behind them goes back to the front of the intake, in order. To the head of
-- the list, since a cut may have stopped in the middle of what a user had there: then the part that it parked is
-- older than the part that it left.
local returned = 0
if #s.released > 0 then
  redis.call('HDEL', KEYS[2], unpack(s.released))
  if redis.call('HLEN', KEYS[3]) > 0 then
    local counts = redis.call('HMGET', KEYS[3], unpack(s.released))
    for i = #s.released, 1, -1 do
      if counts[i] then
        local parked = ARGV[3] .. s.released[i]
        if returned == 0 and redis.call('LLEN', KEYS[6]) == 0 then
          redis.call('HSET', KEYS[7], 'returnedSince', now)
        end
        local entries = redis.call('LRANGE', parked, 0, -1)
        for k = #entries, 1, -1 do
          redis.call('LPUSH', KEYS[6], entries[k])
        end
        redis.call('DEL', parked)
        redis.call('HDEL', KEYS[3], s.released[i])
        returned = returned + #entries
      end
    end
  end
end

if s.keep then
  redis.call('HSET', KEYS[1], 'entries', s.keep.entries, 'users', usersAfter, 'events', eventsAfter, 'tries', s.keep.tries,
    'attempts', s.keep.attempts, 'dueAt', string.format('%.0f', s.keep.dueAt),
    'firstSentAt', string.format('%.0f', s.keep.firstSentAt), 'heldMsAtFirst', string.format('%.0f', s.keep.heldMsAtFirst))
  if not s.keep.onWire then
    redis.call('HDEL', KEYS[1], 'sentAt')
  end
  redis.call('ZADD', KEYS[4], string.format('%.0f', math.max(nowMs, s.keep.dueAt)), ARGV[1])
else
  redis.call('DEL', KEYS[1])
  redis.call('ZREM', KEYS[4], ARGV[1])
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
for i = 1, #s.publish, 2 do
  redis.call('PUBLISH', s.publish[i], s.publish[i + 1])
end
return { 'settled', returned, resolved, now }
