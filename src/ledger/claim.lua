-- claim: a run takes a call record over.
--
-- Takes what is parked behind its suspects into the record.
--
-- Request  callId, run, format (of the records), maxWaitMs (the longest that a retry is put off)
--          maxBytes  of entries in a record
-- Answers kind: gone      finished work
--               foreign   another version wrote it (format): left for that version
--               early     not due yet (waitMs): its job came back from a worker that died
--               yours     record (its fields), nowMs, and passedAtMs: when the newest call that
--                         passed started, or 0
-- Cost: O(entries that join + suspects).
-- Atomic, so that of two runs the later one owns the record and the earlier one can do nothing more.

nameKeys('callPrefix', 'open', 'hold', 'owners', 'parkedPrefix', 'parkedCounts', 'books')
readRequest()
keys.call = keys.callPrefix .. request.callId
writeNothing('HDEL', keys.call)

-- A suspect stays for as long as an event may be tried, and a newer event may be the one that passes. So what
-- is parked behind a suspect joins the record, and goes first. It joins when a run begins and at no other
-- time: the run has all events of the record in memory, and each of its settlements must balance with them.
-- If there are more than a record holds, or than a thousand, the oldest ones join, since a user's events stay in order.
local function adoptParked(suspects)
  if redis.call('HLEN', keys.parkedCounts) == 0 then
    return
  end
  local packed = redis.call('HGET', keys.call, 'entries')
  local adopted, room = {}, request.maxBytes - #packed
  for user in pairs(cjson.decode(suspects)) do
    local parked, count = keys.parkedPrefix .. user, 0
    -- Who has left the record may stand among its suspects.
    local entry = redis.call('HGET', keys.owners, user) == request.callId and redis.call('LINDEX', parked, 0)
    while entry and #entry < room and #adopted < 1000 do
      count, room = count + 1, room - #entry - 1
      adopted[#adopted + 1] = entry
      entry = redis.call('LINDEX', parked, count)
    end
    if count > 0 then
      redis.call('LTRIM', parked, count, -1)
      if redis.call('HINCRBY', keys.parkedCounts, user, -count) == 0 then
        redis.call('HDEL', keys.parkedCounts, user)
      end
    end
  end
  if #adopted > 0 then
    redis.call('HSET', keys.call, 'entries', string.sub(packed, 1, -2) .. ',' .. table.concat(adopted, ',') .. ']')
    redis.call('HINCRBY', keys.call, 'events', #adopted)
    redis.call('HINCRBY', keys.books, 'events', #adopted)
    redis.call('HINCRBY', keys.books, 'parked', -#adopted)
  end
end

local record = readFields(keys.call, 'v', 'dueAt', 'class', 'suspects')
if not record.v then
  return { map = { kind = 'gone' } }
end
readClock()
if tonumber(record.v) ~= request.format then
  -- It does not stand in the way of others meanwhile: see back-pressure in intake/cut/due.lua.
  redis.call('ZADD', keys.open, text(nowMs + 5000), request.callId)
  return { map = { kind = 'foreign', format = record.v } }
end
local wait = tonumber(record.dueAt or 0) - nowMs
-- A due time further away than any back-off comes from another clock.
if wait > 1 and wait <= request.maxWaitMs then
  return { map = { kind = 'early', waitMs = wait } }
end
redis.call('HSET', keys.call, 'run', request.run)
if record.suspects and record.class ~= 'redrive' then
  adoptParked(record.suspects)
end
redis.call('ZADD', keys.open, nowText, request.callId)
local passedAtMs = tonumber(redis.call('HGET', keys.hold, 'passedAt') or 0)
return { map = { kind = 'yours', nowMs = nowMs, passedAtMs = passedAtMs, record = redis.call('HGETALL', keys.call) } }
