-- forget: takes what is on its way for one user out of calls, parking and the front of the intake.
--
-- A forgotten event ends as a dead letter that was deleted at once: books and status balance at any moment, for
-- the version before, too (docs/decisions/0060). `forgotten` counts them besides.
--
-- The list of returned entries is looked through from its tail, page by page: it grows and shrinks at its head
-- alone, so that no entry slips past. With the last page, in the same step, the rest is done: then nothing of the
-- user is in any of these places, whatever moved meanwhile.
--
-- A call that may be on the wire is left alone: a newer event of the user must not overtake it. From any other
-- the user's events are taken, and the record is taken from its run, which has the others' calls made again.
--
-- Shares forget-tally.lua.
-- KEYS 1 books  2 owners  3 parked-counts  4 open-calls  5 returned  6 dead-redriving  7 isolated-calls  8 open-since
-- ARGV 1 userId  2 call prefix  3 parked prefix  4 dead prefix  5 run  6 record format
--      7 how long a call may take effect (ms)  8 entries of the tail that were looked at  9 entries of a page
--      10 the total `forgotten` when they were looked at  11 '1': count only  12 tally prefix
--
-- Answers {word, number, total `forgotten`, returned, parked, in calls, entries of the tail looked at}. Words:
--   more     there are further pages
--   again    somebody else took entries out meanwhile: begin anew with the tail
--   done     nothing is left here
--   wire     the user's call may be on the wire for so many ms
--   foreign  the user's call was written by another version
-- Cost: O(entries of a page + parked + entries of the call).

-- A write that needs no memory comes first: so a full Redis runs the rest, too (docs/decisions/0050).
redis.call('HDEL', KEYS[1], '')

local user, dry = ARGV[1], ARGV[11] == '1'
local t = redis.call('TIME')
local nowMs = t[1] * 1000 + math.floor(t[2] / 1000)
local function total()
  return redis.call('HGET', KEYS[1], 'forgotten') or '0'
end
local looked, page = tonumber(ARGV[8]), tonumber(ARGV[9])
if looked > 0 and total() ~= ARGV[10] then
  return { 'again', 0, total(), 0, 0, 0, 0 }
end

local function isOwn(entry)
  local named
  for i = 2, #entry - 1, 2 do
    if entry[i] == 'userId' then
      named = entry[i + 1]
    end
  end
  return named == user
end

-- An event of a redrive ended once before, in its tally, too.
local function ends(entries, redriven)
  if #entries > 0 and not dry then
    for _, name in ipairs({ 'dead', 'deadDeleted', 'forgotten' }) do
      redis.call('HINCRBY', KEYS[1], name, #entries)
    end
    for i = 1, redriven and 0 or #entries do
      countInTally(ARGV[12], entries[i], 2)
    end
  end
end

-- Front of the intake.
local length = redis.call('LLEN', KEYS[5])
local first = math.max(0, length - looked - page)
local last = length - looked - 1
local found = {}
if last >= 0 then
  local entries = redis.call('LRANGE', KEYS[5], first, last)
  for i = 1, #entries do
    local entry = cjson.decode(entries[i])
    if isOwn(entry) then
      found[#found + 1] = entry
      if not dry then
        redis.call('LSET', KEYS[5], first + i - 1, '')
      end
    end
  end
  if #found > 0 and not dry then
    redis.call('LREM', KEYS[5], 0, '')
  end
  looked = looked + #entries - (dry and 0 or #found)
end
local returned = #found
ends(found)
if first > 0 then
  return { 'more', 0, total(), returned, 0, 0, looked }
end

-- Parking.
local behind = redis.call('LRANGE', ARGV[3] .. user, 0, -1)
local parked = #behind
for i = 1, parked do
  behind[i] = cjson.decode(behind[i])
end
if parked > 0 and not dry then
  redis.call('DEL', ARGV[3] .. user)
  redis.call('HDEL', KEYS[3], user)
  redis.call('HINCRBY', KEYS[1], 'parked', -parked)
end
ends(behind)

-- The call.
local callId = redis.call('HGET', KEYS[2], user)
if not callId then
  return { 'done', 0, total(), returned, parked, 0, looked }
end
local key = ARGV[2] .. callId
local r = redis.call('HMGET', key, 'v', 'entries', 'sentAt', 'command', 'class', 'users', 'events', 'attempts', 'suspects')
if tonumber(r[1]) ~= tonumber(ARGV[6]) then
  return { 'foreign', 0, total(), returned, parked, 0, looked }
end
local own, others = {}, {}
for _, entry in ipairs(cjson.decode(r[2])) do
  local list = isOwn(entry) and own or others
  list[#list + 1] = entry
end
local landsIn = tonumber(r[3] or 0) + tonumber(ARGV[7]) - nowMs
-- Sent in the future: Redis's clock was set back. A run that is alive settles within the same time.
if r[3] and landsIn > 0 and landsIn <= 2 * tonumber(ARGV[7]) then
  return { 'wire', landsIn, total(), returned, parked, dry and #own or 0, looked }
end
if not dry then
  redis.call('HDEL', KEYS[2], user)
  redis.call('HINCRBY', KEYS[1], 'events', -#own)
  redis.call('HINCRBY', KEYS[1], 'users:' .. r[4], -1)
  if r[5] == 'redrive' then
    for _, entry in ipairs(own) do
      redis.call('DEL', ARGV[4] .. entry[1])
      redis.call('ZREM', KEYS[6], entry[1])
    end
  end
  if #others == 0 then
    redis.call('DEL', key)
    redis.call('ZREM', KEYS[4], callId)
    redis.call('ZREM', KEYS[7], callId)
    redis.call('ZREM', KEYS[8], callId)
    if r[5] == 'redrive' then
      redis.call('HINCRBY', KEYS[1], 'redriveCalls', -1)
    end
  else
    local packed, attempts = {}, {}
    for i = 1, #others do
      packed[i] = cjson.encode(others[i])
    end
    for _, attempt in ipairs(cjson.decode(r[8] or '[]')) do
      if attempt.userId ~= user then
        attempts[#attempts + 1] = cjson.encode(attempt)
      end
    end
    redis.call('HSET', key, 'run', ARGV[5], 'users', tonumber(r[6]) - 1, 'events', tonumber(r[7]) - #own,
      'entries', '[' .. table.concat(packed, ',') .. ']', 'attempts', '[' .. table.concat(attempts, ',') .. ']')
    if r[9] then
      local suspects = cjson.decode(r[9])
      suspects[user] = nil
      redis.call('HSET', key, 'suspects', cjson.encode(suspects))
    end
  end
end
ends(own, r[5] == 'redrive')
return { 'done', 0, total(), returned, parked, #own, looked }
