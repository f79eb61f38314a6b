-- sample: one point of the fleet's history. Functions for presence.lua.
--
-- A point is a stream entry of fields: at (ms); accepted, imported, superseded, dead (totals at that time);
-- waiting, oldest (age in ms), rate, quota (calls/s), workers; reason:<reason> (unresolved letters); and the
-- counts since the point before: n:calls, n:error:<code>, n:ms:<bucket> (src/ops/history/fleet-counts.ts).
-- A day writes 8,640 fine points of 100 to 400 bytes, and keeps some 430 points of both kinds.

local FINE_MS, MINUTE_MS, TEN_MS = 10000, 60000, 600000
-- 15 minutes, 3 hours, a day, and the step that is not over.
local FINE_KEPT, MINUTES_KEPT, TENS_KEPT = 92, 182, 146
-- More fine points than that stand in no coarse one.
local MOST_MERGED = 20
local LIFE_MS = 3 * 86400000

-- The names and values of an entry's flat fields.
local function fieldsOf(flat)
  local fields = {}
  for i = 1, #flat, 2 do
    fields[flat[i]] = flat[i + 1]
  end
  return fields
end

-- The point of the newest entry, if there is one.
local function pointIn(entries)
  return entries[1] and fieldsOf(entries[1][2])
end

-- Whether a new step has begun since the last point. A clock that was set back began one, too.
local function isDue(last, stepMs)
  return not last or math.floor(nowMs / stepMs) ~= math.floor(tonumber(last.at) / stepMs)
end

local function flat(point)
  local list = {}
  for name, value in pairs(point) do
    list[#list + 1] = name
    list[#list + 1] = value
  end
  return unpack(list)
end

-- Workers that gave a sign of life within 20 s (PRESENT_WITHIN_MS in presence.ts).
local function presentWorkers()
  local count = 0
  for _, json in pairs(fieldsOf(redis.call('HGETALL', keys.workers))) do
    if math.abs(nowMs - cjson.decode(json).lastSeen) < 20000 then
      count = count + 1
    end
  end
  return count
end

local function pointNow()
  local books = readFields(keys.books, 'taken', 'imported', 'superseded', 'dead')
  local oldest, returned = oldestWaiting()
  local inStream = redis.call('XLEN', keys.stream)
  local point = fieldsOf(redis.call('HGETALL', keys.historyNow))
  for name, count in pairs(fieldsOf(redis.call('HGETALL', keys.deadCounts))) do
    if string.sub(name, 1, 7) == 'reason:' and count ~= '0' then
      point[name] = count
    end
  end
  point.at, point.workers = nowText, presentWorkers()
  point.accepted = text(inStream + tonumber(books.taken or 0))
  point.imported, point.superseded, point.dead = books.imported or '0', books.superseded or '0', books.dead or '0'
  point.waiting = inStream + returned
  point.oldest = text(oldest and math.max(0, nowMs - oldest) or 0)
  point.rate, point.quota = request.rate, request.quota
  return point
end

local greatest = { waiting = true, oldest = true }
local lowest = { rate = true, quota = true }

-- Adds an earlier point to the sum: counts add up, the greatest backlog and the lowest rate stay, and of all
-- else the newest, which came first.
local function mergeInto(sum, point)
  for name, value in pairs(point) do
    local known = sum[name]
    if not known then
      -- A reason without letters now is not taken from an earlier point.
      if string.sub(name, 1, 7) ~= 'reason:' or sum.at == nil then
        sum[name] = value
      end
    elseif string.sub(name, 1, 2) == 'n:' then
      sum[name] = text(tonumber(known) + tonumber(value))
    elseif greatest[name] and tonumber(value) > tonumber(known) or lowest[name] and tonumber(value) < tonumber(known) then
      sum[name] = value
    end
  end
end

-- The sum of the points of a finer stream, newest first, that are newer than the coarse one.
local function merged(entries, coarse)
  local sum = {}
  for _, entry in ipairs(entries) do
    local point = fieldsOf(entry[2])
    if coarse and tonumber(point.at) <= tonumber(coarse.at) and tonumber(coarse.at) <= nowMs then
      break
    end
    mergeInto(sum, point)
  end
  return sum
end

-- The first sign of life in a step writes its point: one process at a time, and no gap when
-- one dies.
local function sample()
  if not isDue(pointIn(redis.call('XREVRANGE', keys.historySeconds, '+', '-', 'COUNT', 1)), FINE_MS) then
    return
  end
  redis.call('XADD', keys.historySeconds, 'MAXLEN', FINE_KEPT, '*', flat(pointNow()))
  redis.call('DEL', keys.historyNow)
  local minute = pointIn(redis.call('XREVRANGE', keys.historyMinutes, '+', '-', 'COUNT', 1))
  if isDue(minute, MINUTE_MS) then
    local fine = redis.call('XREVRANGE', keys.historySeconds, '+', '-', 'COUNT', MOST_MERGED)
    redis.call('XADD', keys.historyMinutes, 'MAXLEN', MINUTES_KEPT, '*', flat(merged(fine, minute)))
    redis.call('PEXPIRE', keys.historySeconds, LIFE_MS)
  end
  local ten = pointIn(redis.call('XREVRANGE', keys.historyTens, '+', '-', 'COUNT', 1))
  if isDue(ten, TEN_MS) then
    local minutes = redis.call('XREVRANGE', keys.historyMinutes, '+', '-', 'COUNT', MOST_MERGED)
    redis.call('XADD', keys.historyTens, 'MAXLEN', TENS_KEPT, '*', flat(merged(minutes, ten)))
    redis.call('PEXPIRE', keys.historyMinutes, LIFE_MS)
    redis.call('PEXPIRE', keys.historyTens, LIFE_MS)
  end
end
