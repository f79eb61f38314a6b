-- prelude: what all scripts share. redis/script.ts joins it in front of a script's own text, because Redis
-- has no modules for EVAL. It only defines names: it sends no command until a function is called.

-- The keys of a script by their names in redis/keys.ts. One structure below a prefix goes by the prefix's
-- first word: `call` is a call record, whose key begins with callPrefix. Scripts address Redis by these names
-- alone, so that a search for one finds all who write it.
local keys = {}

-- Names KEYS[1], KEYS[2], ... in this order. A prefix may be one of them, since what begins with it lies in
-- the same slot of a cluster. askScript in redis/script.ts reads the names here.
local function nameKeys(...)
  for i, name in ipairs({ ... }) do
    keys[name] = KEYS[i]
  end
end

-- The arguments by name: ARGV[1] as JSON. `readRequest` sets it. Answers go by name as { map = {...} }, which
-- Redis sends flat (fieldsOf in redis/script.ts): whole numbers, texts, lists and such maps; nil is left out.
local request

local function readRequest()
  request = cjson.decode(ARGV[1])
end

-- The text of a whole number. Lua's own conversion writes 1.7e+12 for a time.
local function text(number)
  return string.format('%.0f', number)
end

-- Redis's clock when `readClock` was called: ms and us since 1970, as numbers and as text.
local nowMs, nowMicros, nowText, nowMicrosText

local function readClock()
  local t = redis.call('TIME')
  nowMicros = t[1] * 1000000 + t[2]
  nowMs = math.floor(nowMicros / 1000)
  nowText, nowMicrosText = text(nowMs), text(nowMicros)
end

-- A full Redis refuses a script at its first command that may need memory, unless the script has written
-- before. So each script that moves events on begins with this write, which changes nothing and needs no
-- memory (docs/decisions/0050). `command` is HDEL or ZREM, by the type of the key.
local function writeNothing(command, key)
  redis.call(command, key, '')
end

-- Reads fields of a hash by name; a field that is absent is false.
local function readFields(hash, ...)
  local values, fields = redis.call('HMGET', hash, ...), {}
  for i, name in ipairs({ ... }) do
    fields[name] = values[i]
  end
  return fields
end

-- Guards against a Redis whose clock was set back (an NTP step, a failover): what stands in Redis then seems
-- to come from the future, and would count until the clock has caught up. The row of docs/reliability.md that
-- promises this is "a Redis whose clock was set back"; test/redis/clock-set-back.test.ts holds it.

-- The time lies further ahead than anybody writes one: another clock wrote it.
local function isFromAnotherClock(at, now, most)
  return at > now + most
end

-- The time is past, by less than `span`.
local function isRecent(at, now, span)
  return at <= now and now - at < span
end

-- The time is to come, in less than `most`.
local function isUpcoming(at, now, most)
  return at > now and at < now + most
end

-- The value of a field in an entry, whose names and values begin at `first`. The last one counts.
local function valueOf(entry, first, field)
  local value
  for i = first, #entry - 1, 2 do
    if entry[i] == field then
      value = entry[i + 1]
    end
  end
  return value
end

-- The user that an entry names, whether that is a valid ID or not (namedUser in record.ts); nil for none.
local function namedUser(entry, first)
  return valueOf(entry, first, 'userId')
end
